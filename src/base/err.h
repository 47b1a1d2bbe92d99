/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An error is a code for the machine and one sentence for the human.
 *
 * Functions that can fail return 0 or a positive result, or a negative errno; those that can say
 * more take a struct err, which may be NULL. The sentence is written only on failure, has no final
 * newline, and is fit to be shown to a user as it stands.
 */
struct err {
	char msg[512];
};

/* Both return @code, so that a failing function can end in `return err_set(e, -EINVAL, ...)`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence that @e already holds; @code is returned unchanged. */
int err_wrap(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
