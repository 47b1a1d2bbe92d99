// SPDX-License-Identifier: Apache-2.0
#include "agent/mesh_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>

#include "base/clock.h"
#include "export/json_load.h"
#include "http/client.h"

#define TIMEOUT_NS (30 * NSEC_PER_SEC)

/* ---- files ---- */

int source_read(const char *path, struct strbuf *out, struct err *e)
{
	cleanup(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char buf[65536];
	ssize_t n;

	if (fd < 0)
		return err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
		strbuf_add(out, buf, (size_t)n);
		if (out->len > JSON_LOAD_BYTES)
			return err_set(e, -EFBIG, "%s has more than %d MB", path,
				       JSON_LOAD_BYTES >> 20);
	}
	return strbuf_failed(out) ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* ---- Prometheus ---- */

struct query {
	struct event_base *base;
	struct http_client *client;
	const char *url;
	struct mesh_samples *samples;
	struct err *e;
	int r;
};

static void on_answer(void *arg, const struct http_reply *reply)
{
	struct query *q = arg;

	if (!reply->status)
		q->r = err_set(q->e, -EIO, "%s: %s", q->url, reply->error);
	else
		q->r = mesh_samples_read(reply->body_len ? reply->body : "", reply->body_len,
					 q->samples, q->e);
	if (reply->status && (q->r < 0 || reply->status != 200))
		q->r = q->r < 0 ? err_wrap(q->e, q->r, "%s answers %d", q->url, reply->status)
				: err_set(q->e, -EIO, "%s answers %d", q->url, reply->status);
	event_base_loopbreak(q->base);
}

static int ask(struct query *q, uint64_t wall_ns, struct mesh_samples *into, struct err *e)
{
	cleanup(cleanup_free) char *expression = evhttp_encode_uri(MESH_QUERY);
	cleanup(strbuf_done) struct strbuf body = {};

	if (!expression)
		return err_set(e, -ENOMEM, "out of memory");
	strbuf_printf(&body, "query=%s&time=%llu.%03u", expression,
		      (unsigned long long)(wall_ns / NSEC_PER_SEC),
		      (unsigned)(wall_ns % NSEC_PER_SEC / NSEC_PER_MSEC));
	if (strbuf_failed(&body))
		return err_set(e, -ENOMEM, "out of memory");
	q->samples = into;
	q->e = e;
	q->r = -EIO;
	if (http_post(q->client, body.data, body.len, TIMEOUT_NS, on_answer, q) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	event_base_dispatch(q->base);
	return q->r;
}

static int open_client(struct query *q, const char *url, struct err *e)
{
	static const char path[] = "/api/v1/query";
	cleanup(strbuf_done) struct strbuf full = {};
	size_t len = strlen(url);
	int r;

	if (!strncasecmp(url, "https://", 8))
		return err_set(e, -EPROTONOSUPPORT,
			       "%s: TLS is not in this version yet; save the answer of its query "
			       "API in a file, and give that",
			       url);
	/* Not repeated: it may be a password. */
	if (strchr(url, '@'))
		return err_set(
			e, -EINVAL,
			"the address of Prometheus has a user name in it: save the answer of "
			"its query API in a file, and give that");
	if (strpbrk(url, "?#"))
		return err_set(e, -EINVAL,
			       "%s: give the address of Prometheus alone, such as "
			       "http://localhost:9090; the query is sonde's",
			       url);
	while (len && url[len - 1] == '/')
		len--;
	strbuf_add(&full, url, len);
	if (len < sizeof(path) || strncmp(url + len - (sizeof(path) - 1), path, sizeof(path) - 1))
		strbuf_puts(&full, path);
	if (strbuf_failed(&full))
		return err_set(e, -ENOMEM, "out of memory");
	r = http_client_new(q->base, strbuf_str(&full), &q->client, e);
	if (r < 0)
		return r;
	http_client_keep(q->client, JSON_LOAD_BYTES);
	if (http_client_header(q->client, "Content-Type", "application/x-www-form-urlencoded") < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int from_prometheus(const char *url, uint64_t start_ns, uint64_t end_ns, struct mesh **ret,
			   struct err *e)
{
	cleanup(mesh_samples_done) struct mesh_samples now = {}, before = {};
	struct query q = { .base = event_base_new(), .url = url };
	int r;

	if (!q.base)
		return err_set(e, -ENOMEM, "out of memory");
	r = open_client(&q, url, e);
	if (r >= 0)
		r = ask(&q, end_ns, &now, e);
	if (r >= 0)
		r = ask(&q, start_ns, &before, e);
	http_client_free(q.client);
	event_base_free(q.base);
	if (r < 0)
		return r;
	r = mesh_make(&now, &before, ret, e);
	return r < 0 ? err_wrap(e, r, "%s, in the time of the report", url) : 0;
}

static int from_file(const char *path, struct mesh **ret, struct err *e)
{
	cleanup(mesh_samples_done) struct mesh_samples samples = {};
	cleanup(strbuf_done) struct strbuf bytes = {};
	int r = source_read(path, &bytes, e);

	if (r < 0)
		return r;
	r = mesh_samples_read(strbuf_str(&bytes), bytes.len, &samples, e);
	if (r >= 0)
		r = mesh_make(&samples, NULL, ret, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int mesh_source(const char *source, uint64_t start_ns, uint64_t end_ns, struct mesh **ret,
		struct strbuf *said, struct err *e)
{
	bool is_url = !strncasecmp(source, "http://", 7) || !strncasecmp(source, "https://", 8);

	strbuf_puts(said, source);
	strbuf_puts(said, is_url ? ", what it counted in the time of A, to its last scrape"
				 : ", what was counted up to then, perhaps longer than A");
	return is_url ? from_prometheus(source, start_ns, end_ns, ret, e)
		      : from_file(source, ret, e);
}
