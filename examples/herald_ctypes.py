#!/usr/bin/env python3
"""A host in Python, without a module to compile: python3 herald_ctypes.py [libherald.so.1]"""

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_void_p


class Property(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("name_len", c_size_t), ("value", c_char_p), ("value_len", c_size_t)]


class EngineOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("properties", POINTER(Property)),
        ("property_count", c_size_t),
        ("report", c_void_p),
        ("user", c_void_p),
        ("finalizer", c_void_p),
    ]


herald = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libherald.so.1")


def call(name, *arguments):
    """Calls a function whose last argument is where an error goes, and raises it."""
    error = c_void_p()
    function = getattr(herald, name)
    function.restype = c_int32
    if function(*arguments, byref(error)) != 0:
        message = ctypes.create_string_buffer(512)
        herald.herald_error_message(error, message, c_size_t(512), None)
        herald.herald_error_free(error)
        raise RuntimeError(f"{name}: {message.value.decode()}")


def text(value):
    return c_char_p(value), c_size_t(len(value))


settings = {b"durability": b"memory", b"memory": b"16MiB"}
properties = (Property * len(settings))(*(Property(n, len(n), v, len(v)) for n, v in settings.items()))
options = EngineOptions(ctypes.sizeof(EngineOptions), properties, len(settings))
engine, items, count = c_void_p(), c_void_p(), c_size_t()
call("herald_engine_open", byref(options), byref(engine))
call("herald_engine_start", engine)

number, passport, length = b"+1 (202) 555-0123", b"eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmVk", c_size_t()
key, published = ctypes.create_string_buffer(512), ctypes.create_string_buffer(512)
body, found = (c_uint8 * 8192)(), ctypes.create_string_buffer(8192)
call("herald_key_generate", key, c_size_t(512), None)
call("herald_key_public", *text(key.value), published, c_size_t(512), None)
call("herald_seal", *text(published.value), *text(number), *text(passport), body, c_size_t(8192), byref(length))
call("herald_store", engine, *text(number), body, length, None, c_size_t(0))

call("herald_retrieve", engine, *text(number), byref(items))
call("herald_items_count", items, byref(count))
opened = []
for index in range(count.value):
    call("herald_items_body", items, c_size_t(index), body, c_size_t(8192), byref(length))
    try:
        call("herald_open", *text(key.value), *text(number), body, length, found, c_size_t(8192), None)
        opened.append(found.value)
    except RuntimeError:
        pass  # Cover, or for somebody else.
herald.herald_items_free(items)
herald.herald_engine_close(engine)
print(f"{count.value} items, {len(opened)} opens: {opened[0].decode()}")
assert opened == [passport]
