/* A call placed and checked against a local engine, as a switch does it. Arguments: the folder that herald keygen made for
 * the caller, that of the called side, the authority's, and a directory file. cc calls.c $(pkg-config --cflags --libs herald) */
#include <herald.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define TEXT(text) { (text), strlen(text) }

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static int outcome;

static void tell(int what)
{
    pthread_mutex_lock(&lock);
    outcome = what;
    pthread_cond_signal(&news);
    pthread_mutex_unlock(&lock);
}

static int wait_for_it(void)
{
    pthread_mutex_lock(&lock);
    while (!outcome) pthread_cond_wait(&news, &lock);
    int what = outcome;
    outcome = 0;
    pthread_mutex_unlock(&lock);
    return what;
}

static void placed(const herald_placed *placed, void *user)
{
    printf("%s: %u copies, a PASSporT of %zu bytes%.*s\n", (const char *)user, placed->stored_count, placed->passport.len,
           (int)placed->message.len, placed->message.data);
    tell(placed->status == HERALD_OK ? 1 : 2);
}

static void checked(const herald_checked *checked, void *user)
{
    printf("%s: SIP %d, attestation %c, %.*s\n", (const char *)user, checked->sip_code,
           checked->attestation ? checked->attestation : '-', (int)checked->reason.len, checked->reason.data);
    tell(checked->verdict == HERALD_VERDICT_ACCEPT ? 1 : 2);
}

int main(int argc, char **argv)
{
    char paths[5][512];
    if (argc != 5) return 2;
    snprintf(paths[0], sizeof paths[0], "%s/signing.key", argv[1]);
    snprintf(paths[1], sizeof paths[1], "%s/signing.pem", argv[1]);
    snprintf(paths[2], sizeof paths[2], "%s/sealing.jwk", argv[2]);
    snprintf(paths[3], sizeof paths[3], "%s/roots.pem", argv[3]);
    snprintf(paths[4], sizeof paths[4], "%s", argv[4]);
    herald_property properties[] = {
        HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB"),
        { "signing_key", 11, paths[0], strlen(paths[0]) }, { "signing_certificate", 19, paths[1], strlen(paths[1]) },
        { "sealing_keys", 12, paths[2], strlen(paths[2]) }, { "roots", 5, paths[3], strlen(paths[3]) },
        { "directory", 9, paths[4], strlen(paths[4]) },
    };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 7 };
    herald_place_options place = { .struct_size = sizeof place, .orig = TEXT("+1 202-555-0100"),
                                   .dest = TEXT("+1 202-555-0123"), .done = placed, .user = "placed" };
    herald_check_options check = { .struct_size = sizeof check, .orig = TEXT("+1 202-555-0100"),
                                   .dest = TEXT("+1 202-555-0123"), .done = checked, .user = "checked" };
    herald_engine *engine = NULL;
    herald_error *error = NULL;
    char message[512] = "";
    int good = herald_engine_open(&options, &engine, &error) == HERALD_OK && herald_engine_start(engine, &error) == HERALD_OK;
    good = good && herald_place(engine, &place, NULL, &error) == HERALD_OK && wait_for_it() == 1;
    good = good && herald_check(engine, &check, NULL, &error) == HERALD_OK && wait_for_it() == 1;
    check.orig = (herald_text)TEXT("+1 202-555-0166");
    check.user = "another caller";
    good = good && herald_check(engine, &check, NULL, &error) == HERALD_OK && wait_for_it() == 2;
    if (herald_error_message(error, message, sizeof message, NULL) == HERALD_OK) fprintf(stderr, "%s\n", message);
    herald_error_free(error);
    return herald_engine_close(engine) == HERALD_OK && good ? 0 : 1;
}
