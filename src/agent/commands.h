/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/options.h"

/*
 * The commands of the program. Each prints what it has to say, errors as one sentence on standard
 * error, and returns what the program exits with.
 */
enum exit_status command_run(const struct config *c);
enum exit_status command_report(const struct config *c);
enum exit_status command_trace(const struct config *c);
enum exit_status command_doctor(const struct config *c);
enum exit_status command_plan(const struct config *c);
enum exit_status command_list(const struct config *c);
enum exit_status command_compare(const struct config *c);
enum exit_status command_version(const struct config *c);
enum exit_status command_help(const struct config *c);

/* The program: parses, dispatches. */
int sonde_main(int argc, char **argv, char **env);

/* What a failure of the agent means to the caller of the program. */
enum exit_status status_of(int error);

/* Whether to use colour on standard output: --color, NO_COLOR, a terminal. */
bool use_color(const struct config *c);
bool use_color_on(const struct config *c, int fd);
