/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ISOLATE_TESTS_FAULT_MARK_H
#define ISOLATE_TESTS_FAULT_MARK_H

/*
 * prctl(MARK, phase): a call that no kernel knows, by which a program says to inject.c that from here on its calls count (phase 1
 * and more), or do not (0).
 */
#define MARK 0x69736f6d

enum phase { PHASE_NONE, PHASE_OPEN, PHASE_CLOSE };

#endif
