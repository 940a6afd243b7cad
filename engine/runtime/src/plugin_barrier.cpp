// The barrier against exceptions of plugins. They must not leave one, but C++ makes that easy to forget, and nothing but
// C++ can stop them: Rust ends the process on an exception that it did not throw.

#include <cstddef>
#include <cstring>
#include <exception>

// Runs work(context). Returns 0, or 1 with what was thrown in `what`, NUL-terminated.
extern "C" int herald_runtime_guarded(void (*work)(void *), void *context, char *what, std::size_t what_bytes)
{
    what[0] = '\0';
    try {
        work(context);
        return 0;
    } catch (const std::exception &thrown) {
        std::strncat(what, thrown.what(), what_bytes - 1);
    } catch (...) {
        std::strncat(what, "something that is no std::exception", what_bytes - 1);
    }
    return 1;
}
