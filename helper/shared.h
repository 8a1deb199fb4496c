/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_HELPER_SHARED_H
#define ISOLATE_HELPER_SHARED_H

/*
 * Where the logins of a user find the one sandbox that they share (Scope=user): RUNSTATEDIR/pam_isolate/.users/<uid> is a socket
 * of that sandbox's supervisor, <uid>.lock is held by whoever makes or removes it. A socket that nobody listens at is left over.
 */

#include "helper/protocol.h"
#include "helper/record.h"
#include "lib/error.h"

#include <sys/types.h>

#define SHARED_DIR ".users"
#define SHARED_NAME_MAX 24

/* The uid, and a number for the user's name and the policy file: who comes by a PAM service with another policy= is not let into
 * a sandbox that he could not have made. */
void shared_name(const struct request *request, char name[SHARED_NAME_MAX]);

/* Waits for the lock, and gives its fd; closing that is giving it back. */
int shared_lock(const struct record_store *store, const char *name, int *ret_lock, struct error *err);

/* Connects to the supervisor of that sandbox. 0; -ENOENT: there is none; -EAGAIN: it is too busy, try again without the
 * lock. */
int shared_connect(const struct record_store *store, const char *name, int *ret_socket, struct error *err);

/* Under the lock, after shared_connect() found none: listens there. */
int shared_listen(const struct record_store *store, const char *name, int *ret_listener, struct error *err);

/* Closes the listener and removes it, and the lock. Who has connected and was not accepted sees the end of the stream. */
void shared_forget(const struct record_store *store, const char *name, int *listener);

/* With the lock held: no sandbox is made. */
void shared_give_up(const struct record_store *store, const char *name);

/* Removes a socket that nobody listens at. */
void shared_clean(const struct record_store *store, const char *name);

#endif
