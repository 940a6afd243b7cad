// The npm library hpke as the other side: party.mjs seal|open SUITE KEY INFO FILE, hexadecimal and files.
//
// seal: KEY is the public key of the recipient, FILE what to seal; prints enc and ciphertext as one hexadecimal text.
// open: KEY is the private key, FILE the sealed bytes; prints the plaintext in hexadecimal, fails if it does not open.
import { readFileSync } from "node:fs";
import * as hpke from "hpke";

const [command, suiteName, key, info, file] = process.argv.slice(2);
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const hex = (array) => Buffer.from(array).toString("hex");

const kems = { x25519: hpke.KEM_DHKEM_X25519_HKDF_SHA256, p256: hpke.KEM_DHKEM_P256_HKDF_SHA256 };
const suite = new hpke.CipherSuite(kems[suiteName], hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_128_GCM);
const input = Uint8Array.from(readFileSync(file));

if (command === "seal") {
  const recipient = await suite.DeserializePublicKey(bytes(key));
  const { encapsulatedSecret, ciphertext } = await suite.Seal(recipient, input, { info: bytes(info) });
  console.log(hex(encapsulatedSecret) + hex(ciphertext));
} else {
  const secret = await suite.DeserializePrivateKey(bytes(key), true);
  const split = suiteName === "x25519" ? 32 : 65;
  const plain = await suite.Open(secret, input.subarray(0, split), input.subarray(split), { info: bytes(info) });
  console.log(hex(plain));
}
