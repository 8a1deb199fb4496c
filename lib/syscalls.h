/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_LIB_SYSCALLS_H
#define ISOLATE_LIB_SYSCALLS_H

/*
 * The system calls that glibc 2.36 and musl 1.2 do not both have, with the kernel's own argument types. Each returns what the
 * kernel returns, -1 and errno on failure. They are functions, not macros, so that a unit test can put a failing kernel in
 * their place (ld --wrap).
 *
 * <linux/mount.h> and <sys/mount.h> cannot both be included with glibc 2.36: this header brings the kernel's, and below what only
 * the other has.
 */

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* struct mount_attr.propagation: MS_PRIVATE and MS_SLAVE. mount_setattr(2) */
#define PROPAGATION_PRIVATE (1 << 18)
#define PROPAGATION_SLAVE (1 << 19)

/* clone3(2) without a new stack: returns twice, as fork does. No atexit handler, no pthread_atfork runs. */
pid_t sys_clone3(const struct clone_args *args);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_send_signal(int pidfd, int signal);
int sys_openat2(int dirfd, const char *path, const struct open_how *how);
int sys_open_tree(int dirfd, const char *path, unsigned int flags);
int sys_move_mount(int from_dirfd, const char *from_path, int to_dirfd, const char *to_path, unsigned int flags);
int sys_fsopen(const char *type, unsigned int flags);
int sys_fsconfig(int fd, unsigned int command, const char *key, const char *value, int aux);
int sys_fsmount(int fd, unsigned int flags, unsigned int attributes);
int sys_mount_setattr(int dirfd, const char *path, unsigned int flags, const struct mount_attr *attributes);
int sys_close_range(unsigned int first, unsigned int last, unsigned int flags);
int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
ssize_t sys_getcwd(char *buffer, size_t size);

#endif
