// Random programs on a machine with one swap area, told on the console.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/reboot.h>
#define PAGE 4096
#define N 24
#define BASE 0x40000000u
#define WORKERS 4
struct cmd { int op, page, count, arg; };
struct ans { long ret; };
static int to[WORKERS][2], from[WORKERS][2];
static int alive[WORKERS]; static int pids[WORKERS];
static unsigned seed;
static unsigned rnd(unsigned n) { seed = seed * 1103515245u + 12345u; return (seed >> 8) % n; }
static void put(const char *path, const char *text) { int fd = open(path, O_WRONLY); if (fd < 0 || write(fd, text, strlen(text)) < 0) printf("# put %s failed\n", path); close(fd); }
static void insmod(const char *path) { int fd = open(path, O_RDONLY); if (syscall(SYS_finit_module, fd, "", 0)) perror(path); close(fd); }
static void insmodp(const char *path, const char *p) { int fd = open(path, O_RDONLY); if (syscall(SYS_finit_module, fd, p, 0)) perror(path); close(fd); }
static volatile uint32_t *at(int page) { return (uint32_t *)(BASE + (page / N) * 0x1000000u + (page % N) * PAGE); }

static void worker(int me)
{
	struct cmd c; struct ans a;
	while (read(to[me][0], &c, sizeof c) == sizeof c) {
		a.ret = 0;
		switch (c.op) {
		case 0: *at(c.page) = c.arg; break;
		case 1: a.ret = *at(c.page); break;
		case 2: case 3: case 4: case 5:
			a.ret = madvise((void *)at(c.page), c.count * PAGE, c.op == 2 ? 21 : c.op == 3 ? 4 : c.op == 4 ? 3 : 8); break;
		case 6: a.ret = mlock((void *)at(c.page), c.count * PAGE); if (!a.ret) a.ret = munlock((void *)at(c.page), c.count * PAGE); break;
		case 7: { int pid = fork(); if (pid == 0) { worker(c.arg); _exit(0); } a.ret = pid; break; }
		case 8: write(from[me][1], &a, sizeof a); _exit(0);
		case 9: a.ret = mprotect((void *)at(c.page), c.count * PAGE, 1); if (!a.ret) a.ret = mprotect((void *)at(c.page), c.count * PAGE, 3); break;
		case 11: {
			void *spare = (void *)0x50000000, *back = (void *)at(c.page);
			a.ret = mremap(back, c.count * PAGE, c.count * PAGE, 3, spare) == spare ? 0 : -1;
			if (!a.ret) a.ret = mremap(spare, c.count * PAGE, c.count * PAGE, 3, back) == back ? 0 : -1;
			break; }
		case 12: case 13: a.ret = madvise((void *)at(c.page), c.count * PAGE, c.op == 12 ? 9 : 20); break;
		case 14:
			a.ret = munmap((void *)at(c.page), c.count * PAGE);
			if (!a.ret) a.ret = mmap((void *)at(c.page), c.count * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED;
			break;
		}
		write(from[me][1], &a, sizeof a);
	}
}
static long ask(int w, int op, int page, int count, int arg)
{
	struct cmd c = { op, page, count, arg }; struct ans a = { -1 };
	write(to[w][1], &c, sizeof c); read(from[w][0], &a, sizeof a); return a.ret;
}
static const char *names[] = { "pswpin ", "pswpout ", "pgmajfault ", "swap_ra ", "swap_ra_hit " };
static void vmstat(long *v)
{
	static char buf[16384]; int fd = open("/proc/vmstat", O_RDONLY), n = 0, r;
	while ((r = read(fd, buf + n, sizeof buf - 1 - n)) > 0) n += r;
	buf[n] = 0; close(fd);
	for (int i = 0; i < 5; i++) { char key[32]; snprintf(key, 32, "\n%s", names[i]); char *p = strstr(buf, key); v[i] = p ? atol(p + strlen(key)) : -1; }
}
static void show(int w)
{
	char path[64], line[2 * N * 10 + 10]; int n = 0; snprintf(path, 64, "/proc/%d/pagemap", pids[w]);
	int fd = open(path, O_RDONLY); uint64_t e;
	for (int i = 0; i < 2 * N; i++) {
		pread(fd, &e, 8, (uint64_t)(uintptr_t)at(i) / PAGE * 8);
		if (e >> 63) n += sprintf(line + n, " p"); else if (e >> 62 & 1) n += sprintf(line + n, " %u", (unsigned)(e >> 5 & 0x3ffffff)); else n += sprintf(line + n, " -");
	}
	close(fd); printf("map %d%s\n", w, line);
	snprintf(path, 64, "/proc/%d/smaps", pids[w]); FILE *f = fopen(path, "r"); int in = 0; char l[256]; printf("smaps %d", w);
	while (fgets(l, sizeof l, f)) {
		unsigned s; char dash; if (sscanf(l, "%x%c", &s, &dash) == 2 && dash == '-') in = s == BASE || s == BASE + 0x1000000u;
		if (in && (!strncmp(l, "Swap", 4) || !strncmp(l, "Rss:", 4))) printf(" %d", atoi(strchr(l, ':') + 1));
	}
	fclose(f);
	snprintf(path, 64, "/proc/%d/status", pids[w]); f = fopen(path, "r");
	while (fgets(l, sizeof l, f)) if (!strncmp(l, "VmSwap", 6) || !strncmp(l, "RssShmem", 8)) printf(" %d", atoi(strchr(l, ':') + 1));
	fclose(f); printf("\n");
}
static int used(void)
{
	char l[256]; int u = -1; FILE *f = fopen("/proc/swaps", "r");
	while (fgets(l, sizeof l, f)) { char a[64], b[64]; int s; if (sscanf(l, "%63s %63s %d %d", a, b, &s, &u) == 4) break; }
	fclose(f); return u / 4;
}
int main(void)
{
	mkdir("/proc", 0755); mkdir("/sys", 0755); mkdir("/config", 0755); mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, 0); mount("sysfs", "/sys", "sysfs", 0, 0); mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	setvbuf(stdout, 0, _IONBF, 0);
	insmod("/configfs.ko"); insmodp("/null_blk.ko", "nr_devices=0");
	mount("configfs", "/config", "configfs", 0, 0);
	mkdir("/config/nullb/swap", 0755);
	put("/config/nullb/swap/size", "1"); put("/config/nullb/swap/memory_backed", "1"); put("/config/nullb/swap/queue_mode", "0"); put("/config/nullb/swap/irqmode", "0"); put("/config/nullb/swap/blocksize", "4096"); put("/config/nullb/swap/power", "1");
	char dev[64] = "/dev/nullb0"; if (access(dev, F_OK)) printf("# no %s\n", dev);
	char head[PAGE] = {0}; uint32_t *h = (uint32_t *)(head + 1024); h[0] = 1; h[1] = 255; memcpy(head + 4086, "SWAPSPACE2", 10);
	int fd = open(dev, O_RDWR); if (write(fd, head, PAGE) != PAGE) perror("header"); fsync(fd); close(fd);
	for (int history = 0; history < HISTORIES; history++) {
		int rot = history % 2; seed = history * 7919 + 17;
		put("/sys/block/nullb0/queue/rotational", rot ? "1" : "0");
		for (int w = 0; w < WORKERS; w++) { pipe(to[w]); pipe(from[w]); alive[w] = 0; }
		int pid = fork();
		if (pid == 0) {
			mmap((void *)BASE, N * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			mmap((void *)(BASE + 0x1000000), N * PAGE, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			worker(0); _exit(0);
		}
		alive[0] = 1; pids[0] = pid;
		for (int i = 0; i < 2 * N; i++) ask(0, 0, i, 1, 1000 + i);
		int s = swapon(dev, 0); printf("history %d rot %d swapon %d\n", history, rot, s);
		long before[5], now[5]; vmstat(before);
		for (int step = 0; step < STEPS; step++) {
			int w = rnd(WORKERS), k = rnd(100), page = rnd(2 * N), count, arg = 0, op; long ret; if (step < 12) k = k < 40 ? 60 : 30;
			while (!alive[w]) w = (w + 1) % WORKERS;
			count = 1 + rnd(6); if (page % N + count > N) count = N - page % N;
			if (step >= 12 && rnd(5) == 0) {
				op = 9 + rnd(7); if (op == 10) op = 11;
				if (op == 12 && !rot) op = 13;
				if (op == 12) { if (page < N) page += N; }
				if (op == 14 || op == 11) { page %= N; if (page + count > N) count = N - page; }
				if (op == 15) arg = rnd(6);
			}
			else if (k < 24) op = 0, arg = step * 100 + w, count = 1;
			else if (k < 48) op = 1, count = 1;
			else if (k < 72) { op = 2; if (rnd(4) == 0) page = page / N * N, count = N; }
			else if (k < 75) op = 3;
			else if (k < 80) op = 4;
			else if (k < 82) { op = 5; page %= N; if (page + count > N) count = N - page; }
			else if (k < 85) op = 6;
			else if (k < 88) { op = 7; int c = 0; while (c < WORKERS && alive[c]) c++; if (c == WORKERS) continue; arg = c; }
			else if (k < 91) { op = 8; int c = 0; for (int i = 0; i < WORKERS; i++) c += alive[i]; if (c == 1) continue; }
			else if (k < 95) op = 10;
			else { op = 2; page = page / N * N; count = N; }
			if (!rot && op != 10 && op != 15 && page >= N) { page -= N; if (page + count > N) count = N - page; }
			if (op == 10) { ret = swapoff(dev); if (!ret) ret = swapon(dev, 0); }
			else if (op == 15) { char t[8]; sprintf(t, "%d", arg); put("/proc/sys/vm/page-cluster", t); ret = 0; }
			else ret = ask(w, op, page, count, arg);
			if (op == 7) { alive[arg] = 1; pids[arg] = ret; ret = 0; }
			if (op == 8) { alive[w] = 0; usleep(30000); }
			vmstat(now);
			printf("step %d %d %d %d %d = %ld :", w, op, page, count, arg, ret);
			for (int i = 0; i < 5; i++) printf(" %ld", now[i] - before[i]);
			printf(" %d\n", used());
			memcpy(before, now, sizeof now);
			if (step % 10 == 9) for (int i = 0; i < WORKERS; i++) if (alive[i]) show(i);
		}
		for (int i = 0; i < WORKERS; i++) { if (alive[i]) ask(i, 8, 0, 0, 0); close(to[i][0]); close(to[i][1]); close(from[i][0]); close(from[i][1]); }
		usleep(50000); while (waitpid(-1, 0, WNOHANG) > 0);
		printf("end %d swapoff %d\n", used(), swapoff(dev));
	}
	printf("done\n"); sync(); reboot(RB_POWER_OFF);
}
