/*
 * The process that owns the engine: it takes the jobs of the workers, begins them, and continues each transaction when its
 * result is there. The engine's threads hand results over in a list; all of Kamailio is touched by the main thread alone.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT
 */
#define _GNU_SOURCE /* asprintf */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../core/cfg/cfg_struct.h"
#include "../../core/dprint.h"
#include "../../core/mem/shm.h"
#include "../../core/route.h"

#include "herald_mod.h"

/* Bytes of a certificate chain. A larger file is refused. */
#define CERTIFICATE_BYTES_MAX 65536
/* A chain is kept for a day at most, so it is given again this often. */
#define CERTIFICATES_PERIOD_S 43200
/* Jobs that are taken before results are looked for again. */
#define JOBS_PER_TURN 64
/* Lines of the engine's that wait to be logged. More are counted, not kept. */
#define REPORTS_MAX 256

const result *hm_current;

static herald_engine *engine;
static int wake_fd = -1; /* results wait, or the process is to end */
static volatile sig_atomic_t is_ending;
static time_t certificates_given_at;
static int is_reloading, is_reload_wanted;

/* Between the engine's threads and the main one. */
static pthread_mutex_t results_lock = PTHREAD_MUTEX_INITIALIZER;
static result *results_first, **results_last = &results_first;
static result *reports_first, **reports_last = &reports_first; /* lines for the log: code is the level */
static size_t report_count, report_left_out;

/* ---- On the engine's threads: results ------------------------------------------------------------------------------- */

static void wake(void)
{
	uint64_t one = 1;
	/* A full counter wakes as well. */
	if(write(wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void append_locked(result ***last, result *r)
{
	r->next = NULL;
	**last = r;
	*last = &r->next;
}

static void append_result(result *r)
{
	pthread_mutex_lock(&results_lock);
	append_locked(&results_last, r);
	pthread_mutex_unlock(&results_lock);
	wake();
}

static void result_free(result *r)
{
	free(r->reason);
	free(r->passport);
	free(r->details);
	free(r->identity);
	free(r);
}

static char *copy(struct herald_text text)
{
	return text.len == 0 ? NULL : strndup(text.data, text.len);
}

/* The functions below run on threads of the engine: they touch nothing of Kamailio's. `user` is the result to fill. */

static void placed(const struct herald_placed *p, void *user)
{
	result *r = user;
	r->status = p->status;
	r->reason = copy(p->message);
	r->passport = copy(p->passport);
	r->count = p->stored_count;
	append_result(r);
}

static void checked(const struct herald_checked *c, void *user)
{
	result *r = user;
	r->status = c->status;
	r->verdict = c->verdict;
	r->code = c->sip_code;
	r->attestation = c->attestation;
	r->reason = copy(c->reason);
	r->passport = copy(c->ppi);
	r->details = copy(c->details);
	append_result(r);
}

static void gateway_stored(const struct herald_gateway_stored *s, void *user)
{
	result *r = user;
	r->status = s->status;
	r->code = s->sip_code;
	r->reason = copy(s->message);
	r->count = s->placed_count + s->present_count;
	append_result(r);
}

/* One Identity header field for each value. */
static char *fields(const struct herald_text *values, size_t count)
{
	static const char before[] = "Identity: ", behind[] = "\r\n";
	size_t i, len = 0, each = sizeof(before) + sizeof(behind) - 2;
	char *text, *at;
	for(i = 0; i < count; i++)
		len += values[i].len + each;
	if(len == 0 || (text = malloc(len + 1)) == NULL)
		return NULL;
	for(i = 0, at = text; i < count; i++) {
		memcpy(at, before, sizeof(before) - 1);
		at += sizeof(before) - 1;
		memcpy(at, values[i].data, values[i].len);
		at += values[i].len;
		memcpy(at, behind, sizeof(behind) - 1);
		at += sizeof(behind) - 1;
	}
	*at = '\0';
	return text;
}

static void gateway_fetched(const struct herald_gateway_fetched *f, void *user)
{
	result *r = user;
	r->status = f->status;
	r->verdict = f->verdict;
	r->code = f->sip_code;
	r->reason = copy(f->reason);
	r->details = copy(f->details);
	r->count = (unsigned int)f->identity_count;
	r->identity = fields(f->identity_values, f->identity_count);
	append_result(r);
}

static void report(int32_t level, const char *text, size_t len, void *user)
{
	result *r = calloc(1, sizeof(*r));
	(void)user;
	if(r != NULL) {
		r->code = level;
		r->reason = strndup(text, len);
	}
	pthread_mutex_lock(&results_lock);
	if(r != NULL && r->reason != NULL && report_count < REPORTS_MAX) {
		report_count++;
		append_locked(&reports_last, r);
		r = NULL;
	} else {
		report_left_out++;
	}
	pthread_mutex_unlock(&results_lock);
	if(r != NULL)
		result_free(r);
	wake();
}

/* ---- On the main thread: jobs --------------------------------------------------------------------------------------- */

static struct herald_text text_of(const job *j, span place)
{
	struct herald_text text = {j->text + place.at, place.len};
	return text;
}

static herald_status begin(const job *j, result *r, herald_error **error)
{
	struct herald_text identity[IDENTITIES_MAX];
	unsigned int i;
	switch(j->kind) {
		case PLACE: {
			struct herald_place_options o = {.struct_size = sizeof(o), .attestation = j->attestation};
			o.orig = text_of(j, j->orig);
			o.dest = text_of(j, j->dest);
			o.done = placed;
			o.user = r;
			return herald_place(engine, &o, NULL, error);
		}
		case CHECK: {
			struct herald_check_options o = {.struct_size = sizeof(o), .date_s = j->date_s};
			for(i = 0; i < j->identity_count; i++)
				identity[i] = text_of(j, j->identity[i]);
			o.orig = text_of(j, j->orig);
			o.dest = text_of(j, j->dest);
			o.call_id = text_of(j, j->call_id);
			o.identity_values = identity;
			o.identity_count = j->identity_count;
			o.done = checked;
			o.user = r;
			return herald_check(engine, &o, NULL, error);
		}
		case GATEWAY_STORE: {
			struct herald_gateway_store_options o = {.struct_size = sizeof(o)};
			o.sip = text_of(j, j->sip);
			o.done = gateway_stored;
			o.user = r;
			return herald_gateway_store(engine, &o, NULL, error);
		}
		default: {
			struct herald_gateway_fetch_options o = {.struct_size = sizeof(o)};
			o.sip = text_of(j, j->sip);
			o.done = gateway_fetched;
			o.user = r;
			return herald_gateway_fetch(engine, &o, NULL, error);
		}
	}
}

/* The message of an error, or NULL. */
static char *words(const herald_error *error)
{
	size_t len = 0;
	char *text;
	if(error == NULL || herald_error_message(error, NULL, 0, &len) != HERALD_BUFFER_TOO_SMALL)
		return NULL;
	if((text = malloc(len + 1)) != NULL && herald_error_message(error, text, len + 1, NULL) != HERALD_OK) {
		free(text);
		text = NULL;
	}
	return text;
}

/* Begins a call's job. What could not be begun is a result at once. */
static void take_call(const job *j)
{
	herald_error *error = NULL;
	herald_status status;
	result *r = calloc(1, sizeof(*r));
	if(r == NULL) {
		LM_CRIT("no memory: a call waits for its timer\n");
		update_stat(hm_counts.waiting, -1);
		return;
	}
	r->hash_index = j->hash_index;
	r->label = j->label;
	r->route = j->route;
	r->kind = j->kind;
	r->verdict = j->kind == PLACE || j->kind == GATEWAY_STORE ? -1 : HERALD_VERDICT_UNKNOWN;
	status = begin(j, r, &error);
	if(status != HERALD_OK) {
		r->status = status;
		r->reason = words(error);
		herald_error_free(error);
		append_result(r);
	}
}

/* The bytes of a certificate chain's file. NULL: errno says why. */
static uint8_t *read_chain(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	uint8_t *pem;
	int why = 0;
	if(file == NULL)
		return NULL;
	if((pem = malloc(CERTIFICATE_BYTES_MAX + 1)) == NULL) {
		why = ENOMEM;
	} else {
		*len = fread(pem, 1, CERTIFICATE_BYTES_MAX + 1, file);
		why = ferror(file) ? errno : *len > CERTIFICATE_BYTES_MAX ? EFBIG : 0;
	}
	fclose(file);
	if(why != 0) {
		free(pem);
		pem = NULL;
		errno = why;
	}
	return pem;
}

/* Gives the engine the chain that one setting names, so that it need not be fetched. If it is not taken, *why says why,
 * where memory allows. On any thread: it touches nothing of Kamailio's. */
static herald_status keep_certificate(const struct herald_property *one, char **why)
{
	herald_error *error = NULL;
	herald_status status = HERALD_BAD_VALUE;
	size_t len = 0;
	char *text;
	uint8_t *pem = read_chain(one->value, &len);
	if(pem == NULL) {
		text = strdup(strerror(errno));
	} else {
		status = herald_certificate_keep(engine, one->name, one->name_len, pem, len, 2 * CERTIFICATES_PERIOD_S, &error);
		text = words(error);
		herald_error_free(error);
		free(pem);
	}
	if(status != HERALD_OK && asprintf(why, "%s: %s", one->value, text == NULL ? "" : text) < 0)
		*why = NULL;
	free(text);
	return status;
}

/* On a thread of its own, since files are read: calls go on meanwhile. What the engine reads itself comes last, so that it
 * stays as it was if a certificate is not taken. */
static void *reload(void *user)
{
	result *r = user;
	herald_error *error = NULL;
	size_t i;
	for(i = 0; i < hm_certificates.count && r->status == HERALD_OK; i++)
		r->status = keep_certificate(&hm_certificates.pair[i], &r->reason);
	if(r->status == HERALD_OK) {
		r->status = herald_engine_reload(engine, &error);
		r->reason = words(error);
		herald_error_free(error);
	}
	append_result(r);
	return NULL;
}

/* Reloads; once more afterwards if that is asked for meanwhile. */
static void begin_reload(void)
{
	pthread_t thread;
	result *r;
	is_reload_wanted = is_reloading;
	if(is_reloading)
		return;
	if((r = calloc(1, sizeof(*r))) != NULL) {
		r->kind = RELOAD;
		if(pthread_create(&thread, NULL, reload, r) == 0) {
			pthread_detach(thread);
			is_reloading = 1;
			return;
		}
		free(r);
	}
	LM_ERR("no thread to reload on\n");
	update_stat(hm_counts.not_reloaded, 1);
}

static void take_jobs(void)
{
	int i;
	job *j;
	for(i = 0; i < JOBS_PER_TURN; i++) {
		if(recv(hm_sockets[0], &j, sizeof(j), MSG_DONTWAIT) != (ssize_t)sizeof(j))
			return;
		if(j->kind == RELOAD)
			begin_reload();
		else
			take_call(j);
		shm_free(j);
	}
}

/* ---- On the main thread: results ------------------------------------------------------------------------------------ */

static void count_call(const result *r)
{
	update_stat(hm_counts.waiting, -1);
	if(r->kind == PLACE || r->kind == GATEWAY_STORE) {
		update_stat(r->status == HERALD_OK ? hm_counts.placed : hm_counts.not_placed, 1);
		return;
	}
	if(r->status != HERALD_OK)
		update_stat(hm_counts.failed, 1);
	switch(r->verdict) {
		case HERALD_VERDICT_ACCEPT: update_stat(hm_counts.accepted, 1); break;
		case HERALD_VERDICT_REJECT: update_stat(hm_counts.rejected, 1); break;
		case HERALD_VERDICT_NONE: update_stat(hm_counts.none, 1); break;
		default: update_stat(hm_counts.unknown, 1);
	}
}

static void continue_call(const result *r)
{
	count_call(r);
	hm_current = r;
	/* Not 0: cancelled, or its timer ran out. */
	if(hm_tm.t_continue(r->hash_index, r->label, main_rt.rlist[r->route]) != 0)
		update_stat(hm_counts.late, 1);
	hm_current = NULL;
}

static void end_reload(const result *r)
{
	is_reloading = 0;
	if(r->status == HERALD_OK) {
		LM_NOTICE("reloaded\n");
		update_stat(hm_counts.reloaded, 1);
		certificates_given_at = time(NULL);
	} else {
		LM_ERR("not reloaded: %s\n", r->reason == NULL ? "" : r->reason);
		update_stat(hm_counts.not_reloaded, 1);
	}
	if(is_reload_wanted)
		begin_reload();
}

static void log_report(const result *r)
{
	if(r->code == HERALD_LEVEL_ERROR)
		LM_ERR("%s\n", r->reason);
	else if(r->code == HERALD_LEVEL_WARNING)
		LM_WARN("%s\n", r->reason);
	else
		LM_INFO("%s\n", r->reason);
}

/* Continues the transactions of all results, and prints what the engine reports. */
static void take_results(void)
{
	result *reports, *results, *next;
	size_t left_out;
	uint64_t count;
	if(read(wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		LM_ERR("cannot read the wake descriptor: %s\n", strerror(errno));
	pthread_mutex_lock(&results_lock);
	reports = reports_first;
	results = results_first;
	left_out = report_left_out;
	reports_first = results_first = NULL;
	reports_last = &reports_first;
	results_last = &results_first;
	report_count = report_left_out = 0;
	pthread_mutex_unlock(&results_lock);

	for(; reports != NULL; reports = next) {
		next = reports->next;
		log_report(reports);
		result_free(reports);
	}
	if(left_out > 0)
		LM_WARN("%zu lines of the engine's are left out\n", left_out);
	for(; results != NULL; results = next) {
		next = results->next;
		if(results->kind == RELOAD)
			end_reload(results);
		else
			continue_call(results);
		result_free(results);
	}
}

/* ---- The process ---------------------------------------------------------------------------------------------------- */

static void on_term(int signal)
{
	(void)signal;
	is_ending = 1;
	wake();
}

static void keep_certificates(void)
{
	size_t i;
	for(i = 0; i < hm_certificates.count; i++) {
		char *why = NULL;
		if(keep_certificate(&hm_certificates.pair[i], &why) != HERALD_OK)
			LM_ERR("%s\n", why == NULL ? "no memory to say which certificate is not taken" : why);
		free(why);
	}
}

/* Opens and starts the engine. Without one every job is answered with HERALD_NULL_ARGUMENT, with one that does not start
 * HERALD_WRONG_STATE: calls go on, unproven. */
static void open_engine(void)
{
	struct herald_engine_options options = {.struct_size = sizeof(options)};
	herald_error *error = NULL;
	char *why;
	options.properties = hm_properties.pair;
	options.property_count = hm_properties.count;
	options.report = report;
	if(herald_engine_open(&options, &engine, &error) == HERALD_OK && herald_engine_start(engine, &error) == HERALD_OK)
		return;
	why = words(error);
	LM_CRIT("the engine does not start, calls go on without it: %s\n", why == NULL ? "" : why);
	free(why);
	herald_error_free(error);
}

void hm_run(void)
{
	struct sigaction action;
	struct pollfd ready[2];
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	open_engine();
	ready[0] = (struct pollfd){.fd = hm_sockets[0], .events = POLLIN};
	ready[1] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	while(!is_ending) {
		if(time(NULL) - certificates_given_at >= CERTIFICATES_PERIOD_S) {
			keep_certificates();
			certificates_given_at = time(NULL);
		}
		if(poll(ready, 2, CERTIFICATES_PERIOD_S * 1000 / 2) < 0 && errno != EINTR) {
			LM_CRIT("poll: %s\n", strerror(errno));
			break;
		}
		cfg_update();
		take_results();
		take_jobs();
	}
	/* What is under way is told that it was cancelled, on the engine's threads; nobody continues it any more. */
	herald_engine_close(engine);
	_exit(0);
}

int hm_prepare(void)
{
	if((wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
		LM_ERR("no event descriptor: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}
