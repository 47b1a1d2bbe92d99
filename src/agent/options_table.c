// SPDX-License-Identifier: Apache-2.0
#include "agent/options.h"

#include "base/clock.h"
#include "probe/tcp_filter.h"

#define MSEC	  NSEC_PER_MSEC
#define HOUR	  (3600 * NSEC_PER_SEC)
#define AT(field) .offset = offsetof(struct config, field)

#define RUN	  (1U << COMMAND_RUN)
#define REPORT	  (1U << COMMAND_REPORT)
#define TRACE	  (1U << COMMAND_TRACE)
#define DOCTOR	  (1U << COMMAND_DOCTOR)
#define PLAN	  (1U << COMMAND_PLAN)
#define LIST	  (1U << COMMAND_LIST)
#define COMPARE	  (1U << COMMAND_COMPARE)
#define VERSION	  (1U << COMMAND_VERSION)
#define HELP	  (1U << COMMAND_HELP)
#define MEASURE	  (RUN | REPORT | TRACE) /* what can be told what not to measure */
#define ALL	  ((1U << COMMAND_MAX) - 1)

/* clang-format off */
const struct opt opts[] = {
	/* ---- what is measured ---- */
	{ "probes", 'p', OPT_NAMES, AT(probes), .fallback = "", .metavar = "LIST",
	  .commands = RUN | REPORT | TRACE | DOCTOR | PLAN | LIST, .group = OPT_GROUP_MEASURE,
	  .help = "probes to use, separated by commas; all if not given",
	  .text = "The names are those that 'sonde list' prints. Arguments of a command mean the "
		  "same and come first." },
	{ "port", 0, OPT_PORTS, AT(ports), .fallback = "", .metavar = "LIST", .commands = MEASURE,
	  .group = OPT_GROUP_MEASURE,
	  .help = "TCP: measure these ports of services alone, such as 80,8000-8100",
	  .text = "At most 16 ports or ranges. This, peer, role and sample choose connections, when "
		  "they begin; those that are not measured cost next to nothing from then on. "
		  "Requests of Go programs are not chosen by them." },
	{ "peer", 0, OPT_PEERS, AT(peers), .fallback = "", .metavar = "LIST", .commands = MEASURE,
	  .group = OPT_GROUP_MEASURE,
	  .help = "TCP: measure these other ends alone, such as 10.0.0.0/8,fd00::/8",
	  .text = "At most 16 networks or addresses. IPv4 is meant wherever the other end has such "
		  "an address, also where the socket is an IPv6 one." },
	{ "role", 0, OPT_CHOICE, AT(role), .choices = "any|client|server", .fallback = "any",
	  .metavar = "NAME", .commands = MEASURE, .group = OPT_GROUP_MEASURE,
	  .help = "TCP: measure this end of connections alone: any, client or server" },
	{ "sample", 0, OPT_SHARE, AT(sample), .min = 1, .max = TCP_SHARE_ALL, .fallback = "1",
	  .metavar = "SHARE", .commands = MEASURE, .group = OPT_GROUP_MEASURE,
	  .help = "TCP: measure this share of connections, such as 0.1",
	  .text = "Each is drawn by lot when it begins, each end for itself. Figures are those of "
		  "the sample: nothing is scaled up." },
	{ "pid", 0, OPT_PIDS, AT(pids), .fallback = "", .metavar = "LIST",
	  .commands = MEASURE | PLAN, .group = OPT_GROUP_MEASURE,
	  .help = "these processes alone, such as 812,4711",
	  .text = "This, command, service, container and cgroup choose processes. Of one list any "
		  "value has to fit, of different ones each. What a process is, is looked at when it "
		  "is first seen and when it becomes another program." },
	{ "command", 0, OPT_GLOBS, AT(commands), .fallback = "", .metavar = "LIST",
	  .commands = MEASURE, .group = OPT_GROUP_MEASURE,
	  .help = "measure processes of these names alone, such as nginx,python*",
	  .text = "The name is that of the main thread (ps -o comm), or the file name of the "
		  "executable." },
	{ "service", 0, OPT_GLOBS, AT(services), .fallback = "", .metavar = "LIST",
	  .commands = MEASURE | COMPARE, .group = OPT_GROUP_MEASURE,
	  .help = "these services alone, such as checkout,cart-*",
	  .text = "The name is the one that figures are shown under. For compare, and as an option of "
		  "its own alone: the one service to put beside a mesh's; that of the same name if not "
		  "given." },
	{ "container", 0, OPT_CONTAINERS, AT(containers), .fallback = "", .metavar = "LIST",
	  .commands = MEASURE, .group = OPT_GROUP_MEASURE,
	  .help = "measure these containers alone, by the first 4 or more digits of the id",
	  .text = "As the runtime shows it (docker ps, crictl ps), found in the names of the "
		  "process's cgroups." },
	{ "cgroup", 0, OPT_GLOBS, AT(cgroups), .fallback = "", .metavar = "LIST",
	  .commands = MEASURE, .group = OPT_GROUP_MEASURE,
	  .help = "measure these cgroups alone, such as /system.slice/nginx.service",
	  .text = "Paths as in /proc/PID/cgroup, of any hierarchy; * is anything, slashes too." },
	{ "duration", 'd', OPT_DURATION, AT(duration_ns), .max = 366 * 24 * HOUR, .fallback = "0",
	  .metavar = "TIME", .commands = REPORT | TRACE, .group = OPT_GROUP_MEASURE,
	  .help = "how long to measure; 0: until Ctrl-C" },
	{ "events", 0, OPT_SET, AT(events), .choices = "exchanges|failures|ends", .fallback = "",
	  .metavar = "LIST", .commands = TRACE, .flags = OPT_NO_FILE | OPT_NO_ENV,
	  .group = OPT_GROUP_MEASURE,
	  .help = "what to show: exchanges, failures (of connecting), ends (of connections)",
	  .text = "All of them if not given; with --slower-than, exchanges and failures." },
	{ "slower_than", 0, OPT_DURATION, AT(slower_than_ns), .max = HOUR, .fallback = "0",
	  .metavar = "TIME", .commands = TRACE, .flags = OPT_NO_FILE | OPT_NO_ENV,
	  .group = OPT_GROUP_MEASURE,
	  .help = "only exchanges that take at least so long",
	  .text = "The others are left out in the kernel, and cost no more than without a trace." },
	{ "count", 'n', OPT_NUMBER, AT(count), .max = 1000000000, .fallback = "0", .metavar = "N",
	  .commands = TRACE, .flags = OPT_NO_FILE | OPT_NO_ENV, .group = OPT_GROUP_MEASURE,
	  .help = "end after N lines; 0: do not" },
	{ "tier", 0, OPT_CHOICE, AT(tier), .choices = "auto|btf|fentry|kprobe", .fallback = "auto",
	  .metavar = "NAME", .commands = RUN | REPORT | TRACE | DOCTOR | PLAN,
	  .group = OPT_GROUP_MEASURE,
	  .help = "how to hook the kernel: auto, btf, fentry or kprobe",
	  .text = "With auto, BTF tracepoints are tried first, then fentry, then kprobes. The "
		  "others force one of them, for tests and comparisons; a figure that this tier "
		  "cannot give is then absent." },
	{ "btf", 0, OPT_TEXT, AT(btf), .fallback = "", .metavar = "FILE",
	  .commands = RUN | REPORT | TRACE | DOCTOR, .group = OPT_GROUP_MEASURE,
	  .help = "the kernel's types, where it carries none itself (BTF)",
	  .text = "Most kernels do (/sys/kernel/btf/vmlinux), and the file is then left alone. "
		  "Where they do not, probes on kernel events need a BTF file that was made for that "
		  "very kernel; one that was not is found out and refused." },
	{ "tcp.detail", 0, OPT_BOOL, AT(tcp_detail), .fallback = "false",
	  .commands = RUN | REPORT | TRACE | DOCTOR, .group = OPT_GROUP_MEASURE,
	  .help = "also handshakes, ends, round trips, retransmissions, resets of TCP",
	  .text = "What happens once in the life of a connection, or should not happen at all. While "
		  "data flows it costs two comparisons for each exchange." },
	{ "max_series", 0, OPT_NUMBER, AT(max_series), .min = 1, .max = 100000, .fallback = "2000",
	  .metavar = "N", .commands = RUN | REPORT | TRACE, .group = OPT_GROUP_MEASURE,
	  .help = "series that a metric may have",
	  .text = "Values beyond them go to one series with otel.metric.overflow=true, so totals "
		  "stay right." },

	{ "proxy", 0, OPT_TEXT, AT(proxy), .fallback = "", .metavar = "NAME", .commands = COMPARE,
	  .flags = OPT_NO_FILE | OPT_NO_ENV, .group = OPT_GROUP_MEASURE,
	  .help = "the service to take for a proxy" },
	{ "mesh", 0, OPT_TEXT, AT(mesh), .fallback = "", .metavar = "SOURCE", .commands = COMPARE,
	  .flags = OPT_NO_FILE | OPT_NO_ENV, .group = OPT_GROUP_MEASURE,
	  .help = "a mesh's own figures: a file, or a Prometheus such as http://localhost:9090",
	  .text = "What is read is istio_request_duration_milliseconds: from an answer of "
		  "Prometheus's query API saved in a file, from a proxy's text saved in a file, or "
		  "from a Prometheus server, which is asked for what the report's time added." },

	/* ---- where figures go ---- */
	{ "listen", 'l', OPT_LISTEN, AT(listen), .fallback = "127.0.0.1:9477",
	  .metavar = "ADDRESS:PORT", .commands = RUN | DOCTOR, .group = OPT_GROUP_EXPORT,
	  .help = "where to serve /metrics for Prometheus; off: nowhere",
	  .text = "Addresses are numeric; IPv6 stands in brackets: [::1]:9477. Port 0 takes any "
		  "that is free. Nothing is encrypted or authenticated: think before you leave the "
		  "loopback address." },
	{ "otlp.endpoint", 0, OPT_URL, AT(otlp_endpoint), .fallback = "", .metavar = "URL",
	  .commands = RUN | DOCTOR, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_ENDPOINT" } },
	  .help = "OTLP/HTTP receiver, such as http://localhost:4318; off if empty",
	  .text = "v1/metrics is appended to it." },
	{ "otlp.metrics_endpoint", 0, OPT_URL, AT(otlp_metrics_endpoint), .fallback = "",
	  .metavar = "URL", .commands = RUN | DOCTOR, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" } },
	  .help = "full OTLP/HTTP URL of metrics, used as it is",
	  .text = "It goes before otlp.endpoint, unless that one is given in a stronger place: a "
		  "flag is not overruled by a variable." },
	{ "otlp.headers", 0, OPT_HEADERS, AT(otlp_headers), .fallback = "", .metavar = "K=V,...",
	  .commands = RUN | DOCTOR, .flags = OPT_SECRET, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_METRICS_HEADERS" }, { "OTEL_EXPORTER_OTLP_HEADERS" } },
	  .help = "headers of OTLP requests, values percent-encoded",
	  .text = "sonde never prints them, but everybody on the machine can read a command line: "
		  "prefer the file." },
	{ "otlp.timeout", 0, OPT_DURATION, AT(otlp_timeout_ns), .min = 10 * MSEC, .max = HOUR,
	  .fallback = "10s", .metavar = "TIME", .commands = RUN | DOCTOR,
	  .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", OPT_ENV_MILLISECONDS },
		   { "OTEL_EXPORTER_OTLP_TIMEOUT", OPT_ENV_MILLISECONDS } },
	  .help = "how long an OTLP export may take, retries included" },
	{ "otlp.interval", 0, OPT_DURATION, AT(otlp_interval_ns), .min = 100 * MSEC,
	  .max = 24 * HOUR, .fallback = "60s", .metavar = "TIME", .commands = RUN | DOCTOR,
	  .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_METRIC_EXPORT_INTERVAL", OPT_ENV_MILLISECONDS } },
	  .help = "time between two OTLP exports" },
	{ "otlp.protocol", 0, OPT_CHOICE, AT(otlp_protocol), .choices = "http/protobuf",
	  .fallback = "http/protobuf", .metavar = "NAME", .commands = RUN | DOCTOR,
	  .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL" }, { "OTEL_EXPORTER_OTLP_PROTOCOL" } },
	  .help = "protocol of OTLP exports; this version has one" },
	{ "otlp.logs", 0, OPT_SET, AT(otlp_logs), .choices = "exchanges|failures|ends",
	  .fallback = "", .metavar = "LIST", .commands = RUN, .group = OPT_GROUP_EXPORT,
	  .help = "send single events as OTLP log records: exchanges (slow ones), failures (of "
		  "connecting), ends (of connections); none if empty",
	  .text = "What waits to be sent is bounded to 2048 records, in batches of 512; what does not "
		  "fit is dropped and counted." },
	{ "otlp.logs_slower_than", 0, OPT_DURATION, AT(otlp_logs_slower_than_ns), .max = HOUR,
	  .fallback = "100ms", .metavar = "TIME", .commands = RUN, .group = OPT_GROUP_EXPORT,
	  .help = "which exchanges are slow enough for a log record; 0: all" },
	{ "otlp.logs_endpoint", 0, OPT_URL, AT(otlp_logs_endpoint), .fallback = "",
	  .metavar = "URL", .commands = RUN, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" } },
	  .help = "full OTLP/HTTP URL of log records, used as it is",
	  .text = "Without it, v1/logs is appended to otlp.endpoint. Which one wins is as with "
		  "otlp.metrics_endpoint." },
	{ "otlp.logs_headers", 0, OPT_HEADERS, AT(otlp_logs_headers), .fallback = "",
	  .metavar = "K=V,...", .commands = RUN, .flags = OPT_SECRET, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_LOGS_HEADERS" },
		   { "SONDE_OTLP_HEADERS" },
		   { "OTEL_EXPORTER_OTLP_HEADERS" } },
	  .help = "headers of requests with log records; otlp.headers if not given" },
	{ "otlp.logs_timeout", 0, OPT_DURATION, AT(otlp_logs_timeout_ns), .min = 10 * MSEC,
	  .max = HOUR, .fallback = "10s", .metavar = "TIME", .commands = RUN,
	  .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", OPT_ENV_MILLISECONDS },
		   { "SONDE_OTLP_TIMEOUT" },
		   { "OTEL_EXPORTER_OTLP_TIMEOUT", OPT_ENV_MILLISECONDS } },
	  .help = "how long a request with log records may take; otlp.timeout if not given" },
	{ "otlp.logs_delay", 0, OPT_DURATION, AT(otlp_logs_delay_ns), .max = HOUR,
	  .fallback = "1s", .metavar = "TIME", .commands = RUN, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_BLRP_SCHEDULE_DELAY", OPT_ENV_MILLISECONDS } },
	  .help = "how long a log record waits for others to be sent with" },
	{ "otlp.disabled", 0, OPT_BOOL, AT(otlp_disabled), .fallback = "false",
	  .commands = RUN | DOCTOR, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_SDK_DISABLED", OPT_ENV_OTEL_BOOL } },
	  .help = "send nothing by OTLP, whatever the endpoint" },
	{ "service_name", 0, OPT_TEXT, AT(service_name), .fallback = "sonde", .metavar = "NAME",
	  .commands = RUN | REPORT, .group = OPT_GROUP_EXPORT,
	  .env = { { "OTEL_SERVICE_NAME" } },
	  .help = "service.name of sonde's own figures" },

	/* ---- what a person sees ---- */
	{ "output", 'o', OPT_TEXT, AT(output), .fallback = "-", .metavar = "FILE",
	  .commands = REPORT, .group = OPT_GROUP_OUTPUT,
	  .help = "where to write the report; -: standard output",
	  .text = "A file is replaced as a whole when the report is complete, with its owner and "
		  "mode. Without this option a terminal shows a summary instead of the report; with "
		  "a file, standard output shows it." },
	{ "json", 'j', OPT_BOOL, AT(json), .fallback = "false",
	  .commands = REPORT | TRACE | DOCTOR | PLAN | LIST | COMPARE | VERSION,
	  .group = OPT_GROUP_OUTPUT,
	  .help = "print JSON; a report then comes without its summary",
	  .text = "A report is JSON in any case: this prints it on a terminal too." },
	{ "color", 0, OPT_CHOICE, AT(color), .choices = "auto|always|never", .fallback = "auto",
	  .metavar = "WHEN", .commands = RUN | REPORT | TRACE | DOCTOR | PLAN | COMPARE,
	  .group = OPT_GROUP_OUTPUT,
	  .env = { { "NO_COLOR", OPT_ENV_NEVER } },
	  .help = "auto, always or never; auto: on a terminal" },
	{ "log_level", 0, OPT_CHOICE, AT(log_level), .choices = "error|warn|info|debug",
	  .fallback = "info", .metavar = "LEVEL", .commands = RUN | REPORT | TRACE | DOCTOR | PLAN,
	  .group = OPT_GROUP_OUTPUT, .help = "error, warn, info or debug" },
	{ "config", 'c', OPT_TEXT, AT(config_file), .metavar = "FILE",
	  .commands = RUN | REPORT | TRACE | DOCTOR | PLAN, .flags = OPT_NO_FILE,
	  .group = OPT_GROUP_OUTPUT,
	  .help = "read settings from FILE instead of " CONFIG_DEFAULT_PATH },
	{ "help", 'h', OPT_BOOL, AT(help), .commands = ALL, .flags = OPT_NO_FILE | OPT_NO_ENV,
	  .group = OPT_GROUP_OUTPUT, .help = "print this help" },
	{ "version", 0, OPT_BOOL, AT(version), .commands = ALL,
	  .flags = OPT_HIDDEN | OPT_NO_FILE | OPT_NO_ENV, .help = "same as the command" },
	{ "man", 0, OPT_BOOL, AT(man), .commands = HELP,
	  .flags = OPT_HIDDEN | OPT_NO_FILE | OPT_NO_ENV, .help = "print the manual page" },
	{ "example", 0, OPT_BOOL, AT(example), .commands = HELP,
	  .flags = OPT_HIDDEN | OPT_NO_FILE | OPT_NO_ENV, .help = "print docs/sonde.yaml" },
	{}
};

const struct command commands[] = {
	{ COMMAND_RUN, "run", "[PROBE...]", 32, "measure and export until stopped",
	  "Finds what runs on this machine, attaches the probes that fit, and keeps doing so for "
	  "programs that start later. Figures are served to Prometheus at /metrics, sent by OTLP "
	  "when an endpoint is given, and shown as a live summary when standard output is a "
	  "terminal." },
	{ COMMAND_REPORT, "report", "[PROBE...]", 32,
	  "measure for a while and write one JSON document",
	  "Measures for --duration, or until Ctrl-C, which completes the report instead of losing "
	  "it. Of TCP it has each connection, percentiles and a histogram beside the metrics; "
	  "docs/report.md says what its keys mean; --tcp.detail adds where the time goes and what "
	  "failed. On a terminal a summary for people takes its place, and every ten seconds a line "
	  "says how far it is." },
	{ COMMAND_TRACE, "trace", "[PROBE...]", 32, "show single exchanges as they happen",
	  "Each exchange as it ends, each connection that failed and each that is over is a line: "
	  "when, who, with whom (the arrow points at the server), how long, and where the time went. "
	  "With --json, an object: attributes in seconds end in _us and are in microseconds. Ends "
	  "with Ctrl-C, after --duration, or after --count lines." },
	{ COMMAND_DOCTOR, "doctor", "", 0, "say what works on this machine, what does not, and why",
	  "Tries what each probe needs of the kernel, the privileges and the settings, attaches "
	  "nothing for good, says what to do about what does not work, and measures what the tcp "
	  "probe costs on this machine." },
	{ COMMAND_PLAN, "plan", "[PROBE...]", 32, "say what would be attached where, and why",
	  "Reads the running programs as far as it is allowed to; without root, others' programs "
	  "are counted, not shown. Attaches nothing." },
	{ COMMAND_LIST, "list", "[PROBE...]", 32, "list the probes and their metrics",
	  "Prints name, unit, kind, description and the default attributes of every metric." },
	{ COMMAND_COMPARE, "compare", "FILE [FILE]", MAX_FILES,
	  "put two reports, or a proxy's two sides, side by side",
	  "Reads what 'sonde report' wrote. Two documents: each series that is in both, with the "
	  "difference and the ratio of its figures. One document: what the proxies in it add. One "
	  "and --mesh: a service mesh's own figures beside ours. Differences that the histograms "
	  "cannot tell are marked.", .takes = ARGS_FILES },
	{ COMMAND_VERSION, "version", "", 0, "print the version",
	  "Prints the version of sonde." },
	{ COMMAND_HELP, "help", "[COMMAND]", 1, "print help on a command",
	  "Prints the same as COMMAND --help.", .takes = ARGS_COMMAND },
	{}
};

const char *const opt_groups[OPT_GROUP_MAX] = {
	[OPT_GROUP_MEASURE] = "What is measured",
	[OPT_GROUP_EXPORT] = "Where figures go",
	[OPT_GROUP_OUTPUT] = "What you see",
};

const char *const exit_statuses[STATUS_MAX] = {
	[STATUS_OK] = "What was asked is done.",
	[STATUS_FAILED] = "It failed; the reason is on standard error.",
	[STATUS_WRONG_USE] =
		"Wrong use: a command, an option, a value or a settings file that does not make "
		"sense.",
	[STATUS_NOT_PERMITTED] =
		"Not permitted: it needs root, or the capabilities that 'sonde doctor' names.",
	[STATUS_NOTHING_WORKS] = "Nothing of what was asked for works on this kernel.",
};
/* clang-format on */

_Static_assert(sizeof(opts) / sizeof(opts[0]) <= MAX_OPTS,
	       "struct config has room for every option");
