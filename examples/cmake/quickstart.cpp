// A call's proof of identity, stored and found again in process.
#include <herald.hpp>

#include <iostream>
#include <string>

// Stores a PASSporT for a called number, finds it, and says how many of the items under the number opened to it.
static herald::result<int> carry(const std::string &called, const std::string &passport)
{
    auto engine = herald::engine::open({{"durability", "memory"}, {"memory", "16MiB"}});
    if (!engine)
        return engine.error();
    if (const auto started = engine->start(); !started)
        return started.error();

    // The called side makes a key and publishes half of it; the caller's side seals for it and stores.
    const auto key = herald::generate_key();
    if (!key)
        return key.error();
    const auto published = herald::public_key(*key);
    if (!published)
        return published.error();
    const auto sealed = herald::seal(*published, called, passport);
    if (!sealed)
        return sealed.error();
    if (const auto id = engine->store(called, *sealed); !id)
        return id.error();

    // The call arrives: the called side retrieves everything, and opens what is for it. The rest is cover.
    const auto items = engine->retrieve(called);
    if (!items)
        return items.error();
    int opened_count = 0;
    for (const herald::item &item : *items) {
        const auto opened = herald::open(*key, called, item.body);
        opened_count += opened && *opened == passport;
    }
    if (const auto closed = engine->close(); !closed)
        return closed.error();
    return opened_count;
}

int main()
{
    const auto opened_count = carry("+1 (202) 555-0123", "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7fX0.c2lnbmVk");
    if (!opened_count) {
        std::cerr << herald::status_name(opened_count.status()) << ": " << opened_count.error().what() << '\n';
        return 1;
    }
    std::cout << *opened_count << " of the items opens\n";
    return *opened_count == 1 ? 0 : 1;
}
