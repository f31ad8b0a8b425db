/* What a real kernel counts of pages when a process takes and gives them: /proc/vmstat before and after. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *names[] = {"nr_zone_inactive_anon", "nr_zone_unevictable", "nr_mlock", "nr_page_table_pages",
	"nr_inactive_anon", "nr_active_anon", "nr_unevictable", "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty",
	"nr_writeback", "nr_shmem"};
enum { N = sizeof(names) / sizeof(*names) };
static char text[16384];
static long before[N], after[N];

static void now(long *to)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	mlockall(MCL_CURRENT | MCL_ONFAULT);	/* drains this processor's vectors */
	munlockall();
	write(fd, "1", 1);
	close(fd);
	fd = open("/proc/vmstat", O_RDONLY);
	int got = 0, n;
	while ((n = read(fd, text + got, sizeof(text) - 1 - got)) > 0)
		got += n;
	text[got] = 0;
	close(fd);
	for (int i = 0; i < N; i++) {
		char line[64];
		sprintf(line, "\n%s ", names[i]);
		char *at = strstr(text, line);
		to[i] = at ? atol(at + strlen(line)) : -1;
	}
}

static void told(const char *what)
{
	now(after);
	printf("COUNT %s:", what);
	for (int i = 0; i < N; i++)
		if (after[i] != before[i])
			printf(" %s=%ld", names[i], after[i] - before[i]);
	printf("\n");
	fflush(stdout);
	now(before);
}

static char *touch(char *at, int pages, int step)
{
	for (int i = 0; i < pages; i += step)
		at[i * 4096] = 1;
	return at;
}

int main(void)
{
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, 0);
	printf("COUNT start\n");
	fflush(stdout);
	now(before);
	told("nothing");
	told("nothing");
	char *a = mmap((void *)0x20000000, 300 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	touch(a, 300, 1);
	told("anonymous 300");
	char *s = mmap((void *)0x24000000, 50 << 12, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	touch(s, 50, 1);
	told("shared 50");
	mlock(a, 30 << 12);
	now(after);	/* munlockall() would undo it: read at once */
	int to[2], back[2];
	pipe(to); pipe(back);
	told("mlock 30 and back");
	pid_t child = fork();
	if (!child) {
		char c;
		touch(a, 40, 2);
		write(back[1], "x", 1);
		read(to[0], &c, 1);
		_exit(0);
	}
	char c;
	read(back[0], &c, 1);
	told("fork, child writes 20");
	munmap(a, 100 << 12);
	told("munmap 100");
	madvise(s, 50 << 12, MADV_DONTNEED);
	told("dontneed shared");
	write(to[1], "x", 1);
	waitpid(child, 0, 0);
	told("child exits");
	munmap(s, 50 << 12);
	told("munmap shared");
	munmap(a, 300 << 12);
	told("munmap rest");
	reboot(RB_POWER_OFF);
	return 0;
}
