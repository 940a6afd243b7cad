"""Herald against other people's software, each way, and each time with a flipped bit that must not pass.

interop.py HERALD NODE_FOLDER: the program, and a folder whose node_modules holds hpke. secsipidx is on the path;
jwcrypto and pyhpke are in this Python.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from jwcrypto import jwk, jws
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

CALLER, CALLED = "12155551212", "12355551212"
X5U = "https://certs.example.net/signer.pem"
BUCKETS = (640, 1024, 2048, 4096, 8192)
SUITES = {
    "x25519": (KEMId.DHKEM_X25519_HKDF_SHA256, 32),
    "p256": (KEMId.DHKEM_P256_HKDF_SHA256, 65),
}
INFO = b"stir-oob-passport v1\0" + CALLED.encode()
TAG_BYTES = 16

herald, node_folder = sys.argv[1], pathlib.Path(sys.argv[2])
here = pathlib.Path(__file__).resolve().parent
scratch = pathlib.Path(tempfile.mkdtemp())
passed = 0


def check(what, good):
    """Counts what holds; the first that does not ends the run."""
    global passed
    if not good:
        sys.exit(f"tests/interop: FAILED: {what}")
    passed += 1
    print(f"  {what}")


def run(*command, **options):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, **options
    )


def said(*command, **options):
    """What a command that must succeed prints."""
    done = run(*command, **options)
    if done.returncode != 0:
        sys.exit(f"tests/interop: {command[0]} {command[1]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def file(name, content):
    path = scratch / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def flipped(token):
    """The token with one bit of its signature changed; what stands behind it in a header field stays."""
    token, *rest = token.split(";", 1)
    parts = token.split(".")
    signature = bytearray(unb64(parts[2]))
    signature[20] ^= 4
    return ";".join([".".join([*parts[:2], b64(bytes(signature))]), *rest])


def with_bit_flipped(blob):
    return blob[:-20] + bytes([blob[-20] ^ 1]) + blob[-19:]


def herald_accepts(name, text):
    done = run(
        herald, "verify", file(name, text), "--roots", keys / "authority/roots.pem", "--certificate",
        keys / "signing.pem", "--orig", CALLER, "--dest", CALLED, "--json",
    )  # fmt: skip
    verdict = json.loads(done.stdout)
    return done.returncode == 0 and verdict["verdict"] == "accept", verdict


def jws_verifies(token):
    signature = jws.JWS()
    signature.deserialize(token)
    try:
        signature.verify(public_key, alg="ES256")
    except jws.InvalidJWSSignature:
        return False
    return True


def signatures_of_herald():
    sign = (herald, "sign", "--key", keys / "signing.key", "--x5u", X5U, "--orig", CALLER, "--dest", CALLED)
    token, header = said(*sign), said(*sign, "--header")
    for form, value, good in (("", header, True), (" with a flipped bit", flipped(header), False)):
        done = run(
            "secsipidx", "-check", "-fidentity", file("header", value), "-fpubkey", keys / "signing.pem",
            "-expire", "600",
        )  # fmt: skip
        check(f"secsipidx {'takes' if good else 'refuses'} an Identity header of Herald's{form}", (done.returncode == 0) == good)
    check("jwcrypto takes a PASSporT of Herald's", jws_verifies(token))
    check("jwcrypto refuses it with a flipped bit", not jws_verifies(flipped(token)))


def signatures_of_others():
    header = said(
        "secsipidx", "-sign-full", "-orig-tn", CALLER, "-dest-tn", CALLED, "-attest", "A", "-x5u", X5U, "-k",
        keys / "signing.key",
    )  # fmt: skip
    payload = {
        "attest": "A", "dest": {"tn": [CALLED]}, "iat": int(time.time()), "orig": {"tn": CALLER},
        "origid": "123e4567-e89b-12d3-a456-426655440000",
    }  # fmt: skip
    protected = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}
    signature = jws.JWS(json.dumps(payload))
    signature.add_signature(private_key, alg="ES256", protected=json.dumps(protected))
    for maker, text in (("secsipidx", header), ("jwcrypto", signature.serialize(compact=True))):
        good, verdict = herald_accepts("foreign", text)
        check(f"Herald takes a PASSporT of {maker}'s ({verdict['reason']})", good)
        good, verdict = herald_accepts("flipped", flipped(text))
        check(f"Herald refuses it with a flipped bit, at the stage {verdict['stage']}", not good and verdict["stage"] == "sig")


def padded(token, suite):
    """The plaintext of docs/PROTOCOL.md: length, PASSporT, zeros up to the smallest size that holds it."""
    room = SUITES[suite][1] + TAG_BYTES
    plain = len(token).to_bytes(2, "big") + token.encode()
    size = next(size for size in BUCKETS if size >= len(plain) + room)
    return plain + bytes(size - room - len(plain))


def unpadded(plain):
    length = int.from_bytes(plain[:2], "big")
    return plain[2 : 2 + length].decode() if not any(plain[2 + length :]) else None


class Pyhpke:
    name = "pyhpke"

    def __init__(self, suite, key):
        self.suite = CipherSuite.new(SUITES[suite][0], KDFId.HKDF_SHA256, AEADId.AES128_GCM)
        self.split, self.key = SUITES[suite][1], key

    def seal(self, plain):
        public = {name: value for name, value in self.key.items() if name != "d"}
        enc, context = self.suite.create_sender_context(KEMKey.from_jwk(public), info=INFO)
        return enc + context.seal(plain)

    def open(self, blob):
        try:
            context = self.suite.create_recipient_context(blob[: self.split], KEMKey.from_jwk(self.key), info=INFO)
            return context.open(blob[self.split :])
        except Exception:
            return None


class NpmHpke:
    name = "npm hpke"

    def __init__(self, suite, key):
        self.suite, self.secret = suite, unb64(key["d"]).hex()
        self.public = (b"\4" + unb64(key["x"]) + unb64(key["y"]) if "y" in key else unb64(key["x"])).hex()

    def call(self, command, key, data):
        return run("node", node_folder / "party.mjs", command, self.suite, key, INFO.hex(), file("npm", data))

    def seal(self, plain):
        done = self.call("seal", self.public, plain)
        if done.returncode != 0:
            sys.exit(f"tests/interop: npm hpke does not seal: {done.stderr}")
        return bytes.fromhex(done.stdout.strip())

    def open(self, blob):
        done = self.call("open", self.secret, blob)
        return bytes.fromhex(done.stdout.strip()) if done.returncode == 0 else None


def sealing(suite):
    folder = scratch / suite
    said(herald, "keygen", "--out", folder, "--authority", folder / "authority", "--number", CALLED, "--suite", suite)
    key = json.loads((folder / "sealing.jwk").read_text())
    token = said(herald, "sign", "--key", keys / "signing.key", "--x5u", X5U, "--orig", CALLER, "--dest", CALLED)
    to_herald = (herald, "open", "--number", CALLED, "--sealing-key", folder / "sealing.jwk")
    said(
        herald, "seal", file("token", token), "--number", CALLED, "--recipient", folder / "sealing.pub.jwk", "--out",
        scratch / "sealed",
    )  # fmt: skip
    sealed = (scratch / "sealed").read_bytes()
    for party in (Pyhpke(suite, key), NpmHpke(suite, key)):
        opened = party.open(sealed)
        check(f"{suite}: {party.name} opens what Herald sealed", opened is not None and unpadded(opened) == token)
        check(f"{suite}: {party.name} does not open it with a flipped bit", party.open(with_bit_flipped(sealed)) is None)
        theirs = party.seal(padded(token, suite))
        done = run(*to_herald, file("theirs", theirs))
        check(f"{suite}: Herald opens what {party.name} sealed", (done.returncode, done.stdout.strip()) == (0, token))
        done = run(*to_herald, file("theirs", with_bit_flipped(theirs)))
        check(f"{suite}: Herald does not open it with a flipped bit", done.returncode == 1)


def key_bundles():
    out = scratch / "keys.jws"
    said(
        herald, "keys", "bundle", "--for", f"2-{CALLER}", "--recipient", keys / "sealing.pub.jwk", "--place-at",
        "https://cps.example.net", "--key", keys / "signing.key", "--certificate", keys / "signing.pem", "--out", out,
    )  # fmt: skip
    token = out.read_text().strip()
    check("jwcrypto takes a key bundle of Herald's", jws_verifies(token))
    check("jwcrypto refuses it with a flipped bit", not jws_verifies(flipped(token)))
    key = jwk.JWK(**json.loads(unb64(token.split(".")[1]))["keys"][0])
    ours = jwk.JWK(**json.loads((keys / "sealing.pub.jwk").read_text()))
    check("jwcrypto reads the key in it", key.thumbprint() == ours.thumbprint() and key.get("alg") == "HPKE-3")


try:
    keys = scratch / "keys"
    said(herald, "keygen", "--out", keys, "--authority", keys / "authority", "--number", CALLER)
    private_key = jwk.JWK.from_pem((keys / "signing.key").read_bytes())
    public_key = jwk.JWK.from_pem((keys / "signing.pem").read_bytes())
    shutil.copy(here / "party.mjs", node_folder)
    signatures_of_herald()
    signatures_of_others()
    for name in SUITES:
        sealing(name)
    key_bundles()
finally:
    shutil.rmtree(scratch, ignore_errors=True)
print(f"tests/interop: all {passed} checks passed")
