/* The program behind vmstat.json: init of a machine whose memory does not hold what it writes.
 * Linked statically, in an initramfs with Debian's virtio_mmio.ko and virtio_blk.ko; /dev/vda is a swap area. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

static void show(const char *file, const char *when)
{
	char buffer[8192];
	int fd = open(file, O_RDONLY), n;

	printf("== %s %s\n", when, file);
	fflush(stdout);
	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		write(1, buffer, n);
	close(fd);
}

static void snapshot(const char *when)
{
	show("/proc/vmstat", when);
	show("/proc/meminfo", when);
}

static void load(const char *module)
{
	syscall(SYS_finit_module, open(module, O_RDONLY), "", 0);
}

int main(void)
{
	int i, n = atoi(getenv("N"));
	unsigned x = 1;
	char *a;

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, 0);
	mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	load("/virtio_mmio.ko");
	load("/virtio_blk.ko");
	usleep(500000);
	swapon("/dev/vda", 0);
	a = mmap(0, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	snapshot("start");
	for (i = 0; i < n; i++)
		*(int *)(a + i * 4096) = i;
	snapshot("written");
	for (i = 0; i < n; i++)
		if (*(int *)(a + i * 4096) != i)
			printf("page %d is lost\n", i);
	snapshot("read");
	for (i = 0; i < n; i++) {
		x = x * 1103515245u + 12345u;
		(void)*(volatile int *)(a + (x >> 8) % n * 4096);
	}
	snapshot("random");
	reboot(RB_POWER_OFF);
	return 0;
}
