/* A call that leaves SIP at one gateway and comes back at another, through herald.h; and gateways used wrongly. Arguments
 * as those of calls.c. */
#define _GNU_SOURCE
#include "check.h"

#include <stdatomic.h>

#define X5U "https://certs.example.net/alice.pem"

static atomic_int told;
static char passport[4096], value[5000];
static herald_gateway_stored last_stored;
static herald_gateway_fetched last_fetched;

static void await(int count)
{
    while (atomic_load(&told) < count)
        usleep(1000);
}

static void hear_placed(const herald_placed *placed, void *user)
{
    (void)user;
    IS(placed->status, HERALD_OK);
    snprintf(passport, sizeof passport, "%.*s", (int)placed->passport.len, placed->passport.data);
    atomic_fetch_add(&told, 1);
}

static void hear_stored(const herald_gateway_stored *stored, void *user)
{
    HOLDS(stored->struct_size == sizeof *stored && user == &told);
    HOLDS((stored->status == HERALD_OK) == (stored->message.len == 0));
    last_stored = *stored;
    atomic_fetch_add(&told, 1);
}

static void hear_fetched(const herald_gateway_fetched *fetched, void *user)
{
    HOLDS(fetched->struct_size == sizeof *fetched && user == &told);
    HOLDS(fetched->reason.len > 0 && fetched->details.len > 2);
    HOLDS((fetched->verdict == HERALD_VERDICT_ACCEPT) == (fetched->sip_code == 200));
    for (size_t index = 0; index < fetched->identity_count; index++) {
        const herald_text found = fetched->identity_values[index];
        HOLDS(found.len == strlen(value) && memcmp(found.data, value, found.len) == 0);
    }
    last_fetched = *fetched;
    atomic_fetch_add(&told, 1);
}

static herald_text request(const char *identity)
{
    static char sip[8192];
    int length = snprintf(sip, sizeof sip,
                          "INVITE tel:+12025550123 SIP/2.0\r\nFrom: <tel:+1-202-555-0100>;tag=1\r\n"
                          "To: <sip:12025550123@example.net>\r\n%s%s%s\r\n",
                          *identity ? "Identity: " : "", identity, *identity ? "\r\n" : "");
    const herald_text text = {sip, (size_t)length};
    return text;
}

/* Waits for what becomes of a request with this Identity value, "" for none. */
static void store(herald_engine *gateway, const char *identity, const char *divert_to)
{
    herald_gateway_store_options options = {.struct_size = sizeof options, .done = hear_stored, .user = &told};
    int before = atomic_load(&told);
    options.sip = request(identity);
    options.divert_to = (herald_text){TEXT(divert_to)};
    OK(herald_gateway_store(gateway, &options, NULL, NULL));
    await(before + 1);
}

static void fetch(herald_engine *gateway, const char *identity)
{
    herald_gateway_fetch_options options = {.struct_size = sizeof options, .done = hear_fetched, .user = &told};
    int before = atomic_load(&told);
    options.sip = request(identity);
    OK(herald_gateway_fetch(gateway, &options, NULL, NULL));
    await(before + 1);
}

static herald_engine *started(const char *const *pairs)
{
    herald_engine *engine = NULL;
    herald_error *error = NULL;
    if (open_with(pairs, &engine, &error) != HERALD_OK || herald_engine_start(engine, &error) != HERALD_OK) {
        checks_failed++;
        fprintf(stderr, "%s\n", message_of(error));
    }
    return engine;
}

static void sign(char **folders)
{
    char key[512], chain[512];
    snprintf(key, sizeof key, "%s/signing.key", folders[1]);
    snprintf(chain, sizeof chain, "%s/signing.pem", folders[1]);
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "signing_key", key, "signing_certificate",
                                 chain, "x5u", X5U, "directory", folders[4], NULL};
    herald_place_options place = {.struct_size = sizeof place, .done = hear_placed};
    herald_engine *caller = started(pairs);
    place.orig = (herald_text){TEXT("12025550100")};
    place.dest = (herald_text){NUMBER};
    OK(herald_place(caller, &place, NULL, NULL));
    await(1);
    OK(herald_engine_close(caller));
    snprintf(value, sizeof value, "%s;info=<" X5U ">;alg=ES256;ppt=shaken", passport);
}

static herald_engine *gateway_of(char **folders)
{
    char sealing[512], roots[512], chain_path[512], chain[8192];
    snprintf(sealing, sizeof sealing, "%s/sealing.jwk", folders[2]);
    snprintf(roots, sizeof roots, "%s/roots.pem", folders[3]);
    snprintf(chain_path, sizeof chain_path, "%s/signing.pem", folders[1]);
    const char *const pairs[] = {"durability", "memory", "memory", "16MiB", "sealing_keys", sealing, "roots", roots,
                                 "directory", folders[4], NULL};
    herald_engine *gateway = started(pairs);
    FILE *file = fopen(chain_path, "r");
    size_t length = fread(chain, 1, sizeof chain, file);
    fclose(file);
    OK(herald_certificate_keep(gateway, TEXT(X5U), (const uint8_t *)chain, length, 3600, NULL));
    return gateway;
}

static void a_call_leaves_sip_and_comes_back(herald_engine *gateway)
{
    fetch(gateway, "");
    HOLDS(last_fetched.identity_count == 0 && last_fetched.verdict == HERALD_VERDICT_NONE);
    store(gateway, value, "");
    IS(last_stored.status, HERALD_OK);
    HOLDS(last_stored.placed_count == 1 && last_stored.present_count == 0 && last_stored.copies_count == 1);
    store(gateway, value, "");
    HOLDS(last_stored.placed_count == 0 && last_stored.present_count == 1 && last_stored.stored_count == 0);
    fetch(gateway, "");
    HOLDS(last_fetched.identity_count == 1 && last_fetched.verdict == HERALD_VERDICT_ACCEPT);
    fetch(gateway, value);
    HOLDS(last_fetched.identity_count == 0 && last_fetched.verdict == HERALD_VERDICT_ACCEPT);
    store(gateway, "", "");
    IS(last_stored.status, HERALD_BAD_VALUE);
    HOLDS(last_stored.sip_code == 428);
    store(gateway, value, "12025550187");
    IS(last_stored.status, HERALD_UNSERVED);
}

static void wrong_use_is_told_apart(herald_engine *gateway)
{
    herald_gateway_store_options leaving = {.struct_size = sizeof leaving, .done = hear_stored, .user = &told};
    herald_gateway_fetch_options coming = {.struct_size = sizeof coming, .done = hear_fetched, .user = &told};
    herald_engine *plain = started_in_memory();
    int before = atomic_load(&told);
    leaving.sip = coming.sip = request("");
    IS(herald_gateway_store(plain, &leaving, NULL, NULL), HERALD_WRONG_STATE);
    IS(herald_gateway_fetch(plain, &coming, NULL, NULL), HERALD_WRONG_STATE);
    IS(herald_gateway_store(gateway, NULL, NULL, NULL), HERALD_NULL_ARGUMENT);
    leaving.divert_to = (herald_text){TEXT("nobody")};
    IS(herald_gateway_store(gateway, &leaving, NULL, NULL), HERALD_BAD_NUMBER);
    leaving.divert_to.len = 0;
    leaving.sip.len -= 2;
    IS(herald_gateway_store(gateway, &leaving, NULL, NULL), HERALD_BAD_VALUE);
    leaving.sip.len = 1 << 20;
    IS(herald_gateway_store(gateway, &leaving, NULL, NULL), HERALD_BAD_SIZE);
    leaving.done = NULL;
    IS(herald_gateway_store(gateway, &leaving, NULL, NULL), HERALD_NULL_ARGUMENT);
    coming.struct_size--;
    IS(herald_gateway_fetch(gateway, &coming, NULL, NULL), HERALD_STRUCT_SIZE);
    OK(herald_engine_close(plain));
    HOLDS(atomic_load(&told) == before);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    sign(argv);
    herald_engine *gateway = gateway_of(argv);
    a_call_leaves_sip_and_comes_back(gateway);
    wrong_use_is_told_apart(gateway);
    OK(herald_engine_close(gateway));
    return checks_failed != 0;
}
