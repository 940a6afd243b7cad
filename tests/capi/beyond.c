/* A host that says its number is a byte longer than it is: what the sanitizer must report when the library's Rust is
 * watched too, since Rust alone looks at that byte. */
#include "check.h"

#include <stdlib.h>

int main(void)
{
    static const uint8_t body[640];
    static const char *const pairs[] = {"durability", "memory", "memory", "16MiB", NULL};
    herald_engine *engine = NULL;
    char *number = malloc(11);
    OK(open_with(pairs, &engine, NULL));
    OK(herald_engine_start(engine, NULL));
    memcpy(number, "12025550123", 11);
    herald_store(engine, number, 12, body, sizeof body, NULL, 0, NULL);
    OK(herald_engine_close(engine));
    free(number);
    return checks_failed != 0;
}
