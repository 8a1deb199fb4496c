/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes helper/tty-filter.h when the tree is built: the seccomp(2) program of the gate, as libseccomp compiles it for this
 * machine's architecture and those that it runs besides. The gate itself is linked with no library.
 */

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TIOCLINUX
#define TIOCLINUX 0x541C
#endif

static int add_rules(scmp_filter_ctx filter)
{
	static const unsigned int forbidden[] = { TIOCSTI, TIOCLINUX };

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		/* The kernel looks at the lower 32 bits of an ioctl's number only. */
		int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, forbidden[i]));

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_architectures(scmp_filter_ctx filter)
{
	static const uint32_t secondary[][2] = {
		{ SCMP_ARCH_X86_64, SCMP_ARCH_X86 },
		{ SCMP_ARCH_X86_64, SCMP_ARCH_X32 },
		{ SCMP_ARCH_AARCH64, SCMP_ARCH_ARM },
	};
	uint32_t native = seccomp_arch_native();

	for (size_t i = 0; i < sizeof(secondary) / sizeof(secondary[0]); i++) {
		int r = secondary[i][0] == native ? seccomp_arch_add(filter, secondary[i][1]) : 0;

		if (r < 0)
			return r;
	}
	/* A system call of any other architecture would pass by the rules. */
	return seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
}

static int print_program(scmp_filter_ctx filter)
{
	struct sock_filter instruction;
	FILE *program = tmpfile();

	if (!program)
		return -errno;
	if (seccomp_export_bpf(filter, fileno(program)) < 0 || fseek(program, 0, SEEK_SET) < 0)
		return -EIO;
	printf("/* Made by mkfilter. */\n#include <linux/filter.h>\nstatic const struct sock_filter tty_filter[] = {\n");
	while (fread(&instruction, sizeof(instruction), 1, program) == 1)
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", instruction.code, instruction.jt, instruction.jf, instruction.k);
	printf("};\n");
	fclose(program);
	return ferror(stdout) || fflush(stdout) ? -EIO : 0;
}

int main(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? add_architectures(filter) : -ENOMEM;

	if (r >= 0)
		r = add_rules(filter);
	if (r >= 0)
		r = print_program(filter);
	if (r < 0)
		fprintf(stderr, "mkfilter: %s\n", strerror(-r));
	seccomp_release(filter);
	return r < 0;
}
