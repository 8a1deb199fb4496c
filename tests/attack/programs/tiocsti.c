/* SPDX-License-Identifier: BSD-3-Clause */
/* Types into the controlling terminal in every way there is a number for. One line each: the way, and what came of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIOCLINUX_ 0x541cUL
#define X32 0x40000000L

static void tell(const char *way, long result, int error)
{
	printf("%s %s\n", way, result >= 0 ? "done" : strerrorname_np(error));
	fflush(stdout);
}

static void type(const char *way, long number, int fd, unsigned long request)
{
	char key = '#';
	long result = syscall(number, fd, request, &key);

	tell(way, result, errno);
}

#ifdef __x86_64__
/* The 32-bit table: ioctl is 54 there. The pointer has to lie below 4 GB. */
static void type_compat(int fd)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long result = 54;

	if (low == MAP_FAILED)
		return;
	*low = '#';
	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"((long)fd), "c"((long)TIOCSTI), "d"(low)
			 : "memory", "r8", "r9", "r10", "r11");
	tell("int80", result, (int)-result);
}
#endif

static void type_nested(int fd)
{
	fflush(stdout);
	if (fork() == 0) {
		if (unshare(CLONE_NEWUSER) == 0)
			type("nested", SYS_ioctl, fd, TIOCSTI);
		_exit(0);
	}
	wait(NULL);
}

int main(void)
{
	int again;

	type("plain", SYS_ioctl, 0, TIOCSTI);
	type("high", SYS_ioctl, 0, TIOCSTI | 0xdead00000000UL);
#ifdef __x86_64__
	type_compat(0);
	type("x32", X32 + 514, 0, TIOCSTI);
	type("x32-native", X32 + SYS_ioctl, 0, TIOCSTI);
#endif
	type("tioclinux", SYS_ioctl, 0, TIOCLINUX_);
	type("tioclinux-high", SYS_ioctl, 0, TIOCLINUX_ | 0x100000000UL);
	type_nested(0);
	again = open("/dev/tty", O_RDWR | O_NOCTTY);
	type("reopened", SYS_ioctl, again, TIOCSTI);
	printf("end\n");
	return 0;
}
