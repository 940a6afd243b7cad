// A call's proof of identity, stored and found again in process.
#include <herald.hpp>

#include <cstddef>
#include <iostream>
#include <string>

int main()
{
    const std::string called = "+1 (202) 555-0123", passport = "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7fX0.c2lnbmVk";
    try {
        herald::engine engine{{"durability", "memory"}, {"memory", "16MiB"}};
        engine.start();

        // The called side makes a key and publishes half of it; the caller's side seals for it and stores.
        const std::string key = herald::generate_key();
        engine.store(called, herald::seal(herald::public_key(key), called, passport));

        // The call arrives: the called side retrieves everything, and opens what is for it. The rest is cover.
        const herald::items items = engine.retrieve(called);
        int opened = 0;
        for (std::size_t index = 0; index < items.size(); index++)
            opened += herald::open(key, called, items.body(index)) == passport;
        std::cout << items.size() << " items under " << called << "; " << opened << " opens\n";
        engine.close();
        return opened == 1 ? 0 : 1;
    } catch (const herald::failure &failure) {
        std::cerr << herald::status_name(failure.status()) << ": " << failure.what() << '\n';
        return 1;
    }
}
