// SPDX-License-Identifier: Apache-2.0
/*
 * What the two ends have noted, and what follows from it. Each figure has four values. Two hold on any
 * machine: the least, by calls that lie inside of it, and the most, by calls that hold it. Between them
 * lies what the application says: own, and early, which is another value where a message arrived
 * while the call that sent it was under way, and nobody knows when.
 */
#include <stdio.h>

#include "scene.h"

struct span {
	uint64_t own, early, least, most;
};

void note_sent(struct end *e, uint64_t began, size_t n, int calls)
{
	struct ledger *l = e->ledger;
	struct message *m = &e->out[l->tx];
	uint64_t ended = now_ns();

	if (!m->send_first) {
		m->send_first = began;
		m->send_first_ret = ended;
	}
	m->send_last = began;
	m->send_last_ret = ended;
	if (e->server && l->reading)
		l->pairs[l->n_pairs++] = (struct pair){ .request = l->run, .answer = l->tx };
	l->reading = false;
	l->sends += calls;
	l->sent_bytes += n;
}

void note_seen(struct end *e)
{
	struct message *m = &e->in[e->ledger->rx];

	if (!m->seen && !m->read_first_ret)
		m->seen = now_ns();
}

void note_read(struct end *e, uint64_t began, uint64_t seen, size_t n)
{
	struct ledger *l = e->ledger;
	struct message *m = &e->in[l->rx];

	if (!m->read_first_ret) {
		m->read_first_ret = now_ns();
		m->read_first = began;
		m->seen = seen ? seen : m->seen;
	}
	if (!l->reading) {
		m->begins_run = true;
		l->run = l->rx;
		if (!e->server && l->sends) {
			l->pairs[l->n_pairs++] =
				(struct pair){ .request = l->tx - 1, .answer = l->rx };
			l->ambiguous += l->sends > 1;
		}
	}
	l->reading = true;
	l->sends = 0;
	l->received_bytes += n;
}

static uint64_t span(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* On loopback a message has come when the call that sent it is over, if its reader has not seen it before. */
static uint64_t arrival_latest(const struct message *m, const struct scene *scene)
{
	uint64_t sent = scene->whole ? m->send_last_ret : m->send_first_ret;
	uint64_t seen = m->seen ? m->seen : m->read_first_ret;

	return seen < sent ? seen : sent;
}

static uint64_t arrival_earliest(const struct message *m, const struct scene *scene)
{
	return scene->whole ? m->send_last : m->send_first;
}

/* The client's: the start of the last send to the first read. */
static struct span exchange(const struct message *request, const struct message *answer)
{
	return (struct span){
		.own = span(request->send_last, answer->read_first_ret),
		.early = span(request->send_last, answer->read_first_ret),
		.least =
			span(request->send_last_ret, later(answer->read_first, answer->send_first)),
		.most = span(request->send_last, answer->read_first_ret),
	};
}

/* The server's: the arrival to the start of the first send. */
static struct span residence(const struct message *request, const struct message *answer,
			     const struct scene *scene)
{
	return (struct span){
		.own = span(arrival_latest(request, scene), answer->send_first),
		.early = span(arrival_earliest(request, scene), answer->send_first),
		.least = span(request->seen ? request->seen : request->read_first_ret,
			      answer->send_first),
		.most = span(request->send_first, answer->send_first_ret),
	};
}

/* In the receive queue: the arrival to the first read. */
static struct span waiting(const struct message *m, const struct scene *scene)
{
	return (struct span){
		.own = span(arrival_latest(m, scene), m->read_first_ret),
		.early = span(arrival_earliest(m, scene), m->read_first_ret),
		.least = m->seen && m->read_first ? span(m->seen, m->read_first) : 0,
		.most = span(m->send_first, m->read_first_ret),
	};
}

static void figure_print(const char *name, const struct span *spans, long n)
{
	struct span sum = { 0 };

	for (long i = 0; i < n; i++) {
		sum.own += spans[i].own;
		sum.early += spans[i].early;
		sum.least += spans[i].least;
		sum.most += spans[i].most;
	}
	printf("\"%s\": {\"count\": %ld, \"sum_ns\": %lu, \"early_ns\": %lu, \"least_ns\": %lu, "
	       "\"most_ns\": %lu, \"samples_ns\": [",
	       name, n, sum.own, sum.early, sum.least, sum.most);
	for (long i = 0; i < n; i++)
		printf("%s[%lu, %lu]", i ? ", " : "", spans[i].own, spans[i].early);
	printf("]}, ");
}

static void end_print(const struct notes *notes, const struct scene *scene, bool server)
{
	const struct ledger *l = server ? &notes->server : &notes->client;
	const struct message *in = server ? notes->requests : notes->answers;
	static struct span spans[MAX_MESSAGES];
	long n = 0;

	for (long i = 0; i < l->n_pairs; i++) {
		const struct message *request = &notes->requests[l->pairs[i].request];
		const struct message *answer = &notes->answers[l->pairs[i].answer];

		spans[i] = server ? residence(request, answer, scene) : exchange(request, answer);
	}
	printf("\"%s\": {", server ? "server" : "client");
	figure_print("exchange", spans, l->n_pairs);
	for (long i = 0; i < MAX_MESSAGES; i++) {
		if (in[i].begins_run)
			spans[n++] = waiting(&in[i], scene);
	}
	figure_print("receive_queue", spans, n);
	printf("\"ambiguous\": %ld, \"sent_bytes\": %lu, \"received_bytes\": %lu}", l->ambiguous,
	       l->sent_bytes, l->received_bytes);
}

void notes_print(const struct notes *notes, const struct scene *scene)
{
	end_print(notes, scene, false);
	printf(", ");
	end_print(notes, scene, true);
}
