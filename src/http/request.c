// SPDX-License-Identifier: Apache-2.0
#include "http/request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RFC 9110, 5.6.2 */
static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	}
	return true;
}

/* Cuts the line at *@p off and moves behind it; NULL where no line ends. */
static char *next_line(char **p)
{
	char *line = *p, *end = strstr(line, "\r\n");

	if (!end)
		return NULL;
	*end = '\0';
	*p = end + 2;
	return line;
}

static int parse_request_line(char *line, struct http_request *req)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	char *query;

	if (!target || !version)
		return 400;
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line) || strncmp(version, "HTTP/", 5))
		return 400;
	if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0"))
		return 505;
	req->keep_alive = !strcmp(version, "HTTP/1.1");
	req->head = !strcmp(line, "HEAD");
	if (!req->head && strcmp(line, "GET"))
		return 405;
	if (*target != '/')
		return 400;
	for (const char *c = target; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return 400;
	}
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	req->path = target;
	req->query = query ? query : "";
	return 0;
}

/* Whether the comma-separated @list has @word, without a weight of zero behind it. Writes @list. */
static bool list_has(char *list, const char *word)
{
	char *item, *param, *weight;

	while ((item = strsep(&list, ","))) {
		param = item + strcspn(item, ";");
		weight = strstr(param, "q=");
		*param = '\0';
		item += strspn(item, " \t");
		item[strcspn(item, " \t")] = '\0';
		if (!strcasecmp(item, word))
			return !weight || strtod(weight + 2, NULL) > 0;
	}
	return false;
}

static int parse_header(char *line, struct http_request *req)
{
	char *value = strchr(line, ':');
	size_t len;

	if (!value)
		return 400;
	*value++ = '\0';
	value += strspn(value, " \t");
	for (len = strlen(value); len && strchr(" \t", value[len - 1]); len--)
		value[len - 1] = '\0';
	for (const char *c = value; *c; c++) {
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return 400;
	}
	/* A folded line begins with a blank, which no name does. */
	if (!is_token(line))
		return 400;
	if (!strcasecmp(line, "Host")) {
		if (req->host)
			return 400;
		req->host = value;
	} else if (!strcasecmp(line, "Transfer-Encoding")) {
		return 413;
	} else if (!strcasecmp(line, "Content-Length")) {
		return strcmp(value, "0") ? 413 : 0;
	} else if (!strcasecmp(line, "Accept-Encoding")) {
		req->gzip = list_has(value, "gzip");
	} else if (!strcasecmp(line, "Connection")) {
		if (req->keep_alive)
			req->keep_alive = !list_has(value, "close");
		else
			req->keep_alive = list_has(value, "keep-alive");
	}
	return 0;
}

int http_request_parse(char *head, size_t len, struct http_request *ret)
{
	struct http_request req = {};
	char *line, *p = head;
	bool is_http11;
	int status;

	if (memchr(head, '\0', len))
		return 400;
	line = next_line(&p);
	status = line ? parse_request_line(line, &req) : 400;
	if (status)
		return status;
	is_http11 = req.keep_alive;
	while ((line = next_line(&p)) && *line) {
		status = parse_header(line, &req);
		if (status)
			return status;
	}
	if (!line || (is_http11 && !req.host))
		return 400;
	if (!req.host)
		req.host = "";
	*ret = req;
	return 0;
}
