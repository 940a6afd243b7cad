/* A call's proof of identity, stored and found again in process. cc quickstart.c $(pkg-config --cflags --libs herald) */
#include <herald.h>
#include <stdio.h>
#include <string.h>

#define CHECK(call) if ((status = (call)) != HERALD_OK) goto failed
#define TEXT(text) (text), strlen(text)

int main(void)
{
    const char *called = "+1 (202) 555-0123", *passport = "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7fX0.c2lnbmVk";
    herald_property properties[] = { HERALD_PROPERTY("durability", "memory"), HERALD_PROPERTY("memory", "16MiB") };
    herald_engine_options options = { .struct_size = sizeof options, .properties = properties, .property_count = 2 };
    herald_engine *engine = NULL;
    herald_items *items = NULL;
    herald_error *error = NULL;
    herald_status status;
    char key[HERALD_JWK_CAPACITY], published[HERALD_JWK_CAPACITY], found[HERALD_BODY_CAPACITY], message[512];
    uint8_t body[HERALD_BODY_CAPACITY];
    size_t length, count, opened = 0;

    CHECK(herald_engine_open(&options, &engine, &error));
    CHECK(herald_engine_start(engine, &error));

    /* The called side makes a key and publishes half of it; the caller's side seals for it and stores. */
    CHECK(herald_key_generate(key, sizeof key, NULL, &error));
    CHECK(herald_key_public(TEXT(key), published, sizeof published, NULL, &error));
    CHECK(herald_seal(TEXT(published), TEXT(called), TEXT(passport), body, sizeof body, &length, &error));
    CHECK(herald_store(engine, TEXT(called), body, length, NULL, 0, &error));

    /* The call arrives: the called side retrieves everything, and opens what is for it. The rest is cover. */
    CHECK(herald_retrieve(engine, TEXT(called), &items, &error));
    CHECK(herald_items_count(items, &count, &error));
    for (size_t index = 0; index < count; index++) {
        CHECK(herald_items_body(items, index, body, sizeof body, &length, &error));
        if (herald_open(TEXT(key), TEXT(called), body, length, found, sizeof found, NULL, NULL) == HERALD_OK)
            opened += strcmp(found, passport) == 0;
    }
    printf("%zu items under %s; %zu opens: %s\n", count, called, opened, found);
    herald_items_free(items);
    return herald_engine_close(engine) == HERALD_OK && opened == 1 ? 0 : 1;

failed:
    if (herald_error_message(error, message, sizeof message, NULL) == HERALD_OK)
        fprintf(stderr, "status %d: %s\n", (int)status, message);
    herald_error_free(error);
    herald_items_free(items);
    herald_engine_close(engine);
    return 1;
}
