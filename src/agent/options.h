/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

/*
 * One table of options is the command line, the YAML file, the environment, the help, the example
 * file and the manual page. A value comes from the first of: command line, environment, file,
 * default. What a lower layer says about an option that a higher one has set is not an error in the
 * environment, which sonde shares with others; it is in the file, which is sonde's own.
 */

/* What the program exits with; the sentences are in exit_statuses[]. */
enum exit_status {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_WRONG_USE,
	STATUS_NOT_PERMITTED,
	STATUS_NOTHING_WORKS,
	STATUS_MAX,
};

enum command_id {
	COMMAND_RUN,
	COMMAND_REPORT,
	COMMAND_TRACE,
	COMMAND_DOCTOR,
	COMMAND_PLAN,
	COMMAND_LIST,
	COMMAND_COMPARE,
	COMMAND_VERSION,
	COMMAND_HELP,
	COMMAND_MAX,
};

/* What the arguments of a command are. */
enum command_args { ARGS_PROBES, ARGS_COMMAND, ARGS_FILES };

struct command {
	enum command_id id;
	const char *name;
	const char *args;    /* as a synopsis shows them: "[PROBE...]"; "" when there are none */
	size_t max_args;     /* at most that many arguments that are not options */
	const char *summary; /* half a line, no full stop */
	const char *text;    /* a paragraph for help and manual */
	enum command_args takes;
};

enum tier { TIER_AUTO, TIER_BTF, TIER_FENTRY, TIER_KPROBE };
enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* Single events that can be asked for: bits of OPT_SET. */
enum config_events {
	EVENTS_EXCHANGES = 1 << 0,
	EVENTS_FAILURES = 1 << 1,
	EVENTS_ENDS = 1 << 2,
};

/* How a value is written, checked and stored; options_value.h. */
enum opt_type {
	OPT_TEXT,    /* char *; any text */
	OPT_URL,     /* char *; http:// or https://, no credentials; "" is off */
	OPT_LISTEN,  /* char *; ADDRESS:PORT or "off" */
	OPT_HEADERS, /* char *; k=v,k=v, percent-encoded */
	OPT_NAMES,   /* char *; names separated by commas, "" for all */
	/* char *; other lists, "" for no restriction */
	OPT_PORTS,	/* "80,8000-8100" */
	OPT_PEERS,	/* "10.0.0.0/8,::1" */
	OPT_PIDS,	/* "1,812" */
	OPT_GLOBS,	/* "nginx,py*" */
	OPT_CONTAINERS, /* "3f2a,9b01c2" */
	OPT_NUMBER,	/* uint64_t; from here on values that are numbers */
	OPT_DURATION,	/* uint64_t, nanoseconds; "10s", "250ms", "1m30s", or plain seconds */
	OPT_SHARE,	/* uint64_t, of TCP_SHARE_ALL; "0.25" */
	OPT_BOOL,	/* bool */
	OPT_CHOICE,	/* an enum, numbered in the order of choices */
	OPT_SET, /* uint64_t; bits in the order of choices, written with commas; "" for none */
};

enum opt_flag {
	OPT_SECRET = 1 << 0, /* its value is never printed */
	OPT_HIDDEN = 1 << 1, /* not in help or manual */
	OPT_NO_FILE = 1 << 2,
	OPT_NO_ENV = 1 << 3,
};

/* How the value of an environment variable that is not sonde's own is to be read. */
enum opt_env_form {
	OPT_ENV_PLAIN,
	OPT_ENV_MILLISECONDS, /* a whole number of them */
	OPT_ENV_OTEL_BOOL,    /* "true" in any case; all else is false */
	OPT_ENV_NEVER,	      /* whatever it holds means "never": NO_COLOR */
};

struct opt_env {
	const char *name;
	enum opt_env_form form;
};

enum opt_group { OPT_GROUP_MEASURE, OPT_GROUP_EXPORT, OPT_GROUP_OUTPUT, OPT_GROUP_MAX };

struct opt {
	const char *key; /* in the file; the flag is --key with - for _, the variable SONDE_KEY */
	char letter;	 /* of its short form, or 0 */
	enum opt_type type;
	size_t offset;	      /* of its value in struct config */
	uint64_t min, max;    /* OPT_NUMBER, OPT_DURATION (nanoseconds) */
	const char *choices;  /* OPT_CHOICE, OPT_SET: "auto|btf" */
	const char *fallback; /* the default, written as a user would; NULL: none */
	const char *metavar;  /* what stands for the value in help; NULL for OPT_BOOL */
	unsigned commands;    /* bits, 1 << enum command_id */
	unsigned flags;	      /* enum opt_flag */
	enum opt_group group;
	struct opt_env env[3]; /* OpenTelemetry's and others' variables, the first one set wins */
	const char *help;      /* one line, no full stop */
	const char *text;      /* more sentences for the manual, or NULL */
};

/* Ends of tables: a NULL key, a NULL name. */
extern const struct opt opts[];
extern const struct command commands[];
extern const char *const opt_groups[OPT_GROUP_MAX];
extern const char *const exit_statuses[STATUS_MAX];

#define MAX_OPTS  64
#define MAX_FILES 2

/* Where a value came from, weakest first. */
enum layer { LAYER_NONE, LAYER_DEFAULT, LAYER_FILE, LAYER_ENV, LAYER_FLAG };

#define CONFIG_DEFAULT_PATH "/etc/sonde/sonde.yaml"

/*
 * The settings of one run of the program. Text is owned here and never NULL after options_parse,
 * except config_file. An option that the command does not have keeps its default.
 */
struct config {
	char *config_file; /* what was read, or NULL */
	char *listen;	   /* "127.0.0.1:9477", "[::1]:0", "off" */
	char *btf;	   /* a file; "": none */
	char *probes;	   /* "tcp,http"; "": all; ask config_wants_probe() */
	char *otlp_endpoint;
	char *otlp_metrics_endpoint;
	char *otlp_headers; /* secret */
	char *otlp_logs_endpoint;
	char *otlp_logs_headers; /* secret */
	char *service_name;
	char *output;		    /* "-" is standard output */
	char *topic;		    /* COMMAND_HELP: the command asked about; "": the program */
	char *files[MAX_FILES + 1]; /* arguments that are files, NULL-ended */
	char *proxy, *mesh;	    /* COMMAND_COMPARE; "": not given */
	uint64_t otlp_timeout_ns, otlp_interval_ns;
	uint64_t otlp_logs; /* enum config_events; 0: none */
	uint64_t otlp_logs_slower_than_ns, otlp_logs_timeout_ns, otlp_logs_delay_ns;
	uint64_t duration_ns; /* 0: until interrupted */
	uint64_t slower_than_ns;
	uint64_t count;	 /* 0: no end */
	uint64_t events; /* enum config_events; 0: not said */
	uint64_t max_series;
	/* What is measured: of each list any, of different ones all; "": no restriction. */
	char *ports, *peers;
	char *pids, *commands, *services, *containers, *cgroups; /* struct selection */
	uint64_t sample;					 /* of TCP_SHARE_ALL */
	int role;						 /* enum sn_tcp_role */
	int otlp_protocol;
	enum tier tier;
	enum log_level log_level;
	enum color color;
	bool perhaps_secret; /* probes may hold a part of a secret: do not print them */
	bool tcp_detail, otlp_disabled, json, help, version, man, example;
	uint8_t layer[MAX_OPTS]; /* enum layer of each row of opts[] */
};

/*
 * Fills *@c, zeroed by the caller, from all layers, and says which command is asked for; --help
 * makes that COMMAND_HELP with c->topic. @env is NAME=VALUE strings, NULL-ended; an empty variable
 * is an unset one. 0, or a negative errno with a sentence fit for the user: -EINVAL and what
 * opening the file gave are wrong use, -ENOMEM is not. config_done() is due either way.
 */
int options_parse(int argc, char *const *argv, char *const *env, const struct command **ret_cmd,
		  struct config *c, struct err *e);
void config_done(struct config *c);

/* Whether @probe is among those asked for. */
bool config_wants_probe(const struct config *c, const char *probe);

/* -EINVAL with a sentence when a probe is asked for that @known (NULL-ended) does not have. */
int config_check_probes(const struct config *c, const char *const *known, struct err *e);

/* The row of @key ('-' counts as '_'), or NULL. */
const struct opt *opt_find(const char *key);
const struct opt *opt_find_n(const char *key, size_t len);
const struct command *command_find(const char *name);

/* Writes the flag ("--max-series") or the variable ("SONDE_MAX_SERIES") of @o; returns @buf. */
#define OPT_NAME_MAX 64
const char *opt_flag_name(const struct opt *o, char buf[OPT_NAME_MAX]);
const char *opt_variable(const struct opt *o, char buf[OPT_NAME_MAX]);
