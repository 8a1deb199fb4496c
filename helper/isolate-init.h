/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_ISOLATE_INIT_H
#define ISOLATE_HELPER_ISOLATE_INIT_H

/*
 * What the supervisor and isolate-init say to each other over a SOCK_SEQPACKET socket, at this fd of isolate-init: messages of
 * one byte. isolate-init begins, with INIT_READY. A byte of the supervisor's is a question: isolate-init sends the same byte back
 * once there is no other process in its PID namespace. A new question replaces the one before.
 */

#define INIT_SOCKET_FD 3
#define INIT_READY 'R'

#endif
