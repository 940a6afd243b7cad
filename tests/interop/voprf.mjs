// A client whose VOPRF is the crate voprf 0.5 gets tokens from a running service and stores with them: voprf.mjs HERALD
// PLUGINS CLIENT FOLDER, the program, the folder of the plugins as shared objects, tests/interop/voprf as it was built,
// and a folder of its own. All but the VOPRF is written here, from docs/PROTOCOL.md. Prints what holds; the first that
// does not ends it.
import { spawnSync } from "node:child_process";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { CALLED, check, finish, privateToken, Service } from "./service.mjs";

const [program, plugins, client, folder] = process.argv.slice(2);
const INPUT_BYTES = 98;
const SUITES = [
  { suite: "ristretto255", plugin: "rate-voprf", library: "librate_voprf.so", type: 5, count: 3, media: "amortized-batch-" },
  { suite: "p384", plugin: "rate-voprf-p384", library: "librate_voprf_p384.so", type: 1, count: 1, media: "" },
];

const hash = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const hmac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const flipped = (bytes, at) => Buffer.from(bytes.with(at, bytes[at] ^ 1));

// Runs the client: hexadecimal lines.
function voprf(...words) {
  const run = spawnSync(client, words, { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`FAILED: voprf ${words[0]}: ${run.stderr}`);
  return run.stdout.trim().split("\n").map((line) => Buffer.from(line, "hex"));
}

function unsigned(value, bytes) {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, 0, bytes);
  return out;
}

// The called number: a field of four bits for each sign, 0 where there is none.
const numberBytes = Buffer.from(`0${[...CALLED].map((sign) => (Number(sign) + 1).toString(16)).join("")}`.padEnd(16, "0"), "hex");

function tokenId(input) {
  return hash(Buffer.from("herald-token-id"), input).subarray(0, 16);
}

function mac(token, counter, body) {
  const [input, authenticator] = [token.subarray(0, INPUT_BYTES), token.subarray(INPUT_BYTES)];
  const key = hmac(authenticator, Buffer.from("herald-mac-key-v1"), input);
  const head = [Buffer.from("cps-store-v1"), input.subarray(66), tokenId(input), unsigned(counter, 4), numberBytes];
  return hmac(key, ...head, unsigned(body.length, 4), body).subarray(0, 16);
}

const admission = (...parts) => ({ Authorization: `Admission ${Buffer.concat(parts).toString("base64url")}` });

// A credential that opens the token's session, its authenticator withheld.
function opening(token, counter, body) {
  const input = token.subarray(0, INPUT_BYTES);
  const head = Buffer.from([1, 1, 2]);
  return admission(head, unsigned(INPUT_BYTES, 2), input, Buffer.from([0]), unsigned(counter, 4), mac(token, counter, body));
}

// One that goes on with it.
function goingOn(token, counter, body) {
  const id = tokenId(token.subarray(0, INPUT_BYTES));
  return admission(Buffer.from([1, 0]), id, unsigned(counter, 4), mac(token, counter, body));
}

const bearer = (token) => ({ Authorization: privateToken(token) });

// Asks for tokens as a holder of a number, with the key of the challenge.
async function tokens(service, { suite, type, count, media }) {
  const refused = await service.store(randomBytes(640));
  const found = /^PrivateToken challenge="([^"]+)", token-key="([^"]+)"$/.exec(refused.headers["www-authenticate"]);
  const [challenge, key] = found.slice(1).map((text) => Buffer.from(text, "base64url"));
  check(`${suite}: a store without a token is challenged`, refused.status === 401 && challenge.readUInt16BE(0) === type);
  const directory = await service.directory();
  const offered = directory["token-keys"].find((one) => key.equals(Buffer.from(one["token-key"], "base64url")));
  check(`${suite}: the directory has the key`, offered["token-type"] === type && offered.mac === "hmac-sha256-128");
  const [request, state] = voprf("request", suite, key.toString("hex"), hash(challenge).toString("hex"), count);
  const path = directory["issuer-request-uri"];
  const headers = { "Content-Type": `application/private-token-${media}request` };
  check(`${suite}: a stranger gets none`, (await service.http("POST", path, headers, request)).status === 401);
  headers.Authorization = `Bearer ${service.accessToken(path)}`;
  const issued = await service.http("POST", path, headers, request);
  const type_ = `application/private-token-${media}response`;
  check(`${suite}: the holder of a certificate is answered`, issued.status === 200 && issued.headers["content-type"] === type_);
  const finished = voprf("finish", suite, key.toString("hex"), state.toString("hex"), issued.body.toString("hex"));
  check(`${suite}: the proof holds, ${count} tokens`, finished.length === count);
  return finished;
}

async function sessionOf(service, suite, token) {
  const bodies = [0, 1, 2].map(() => randomBytes(640));
  const junk = flipped(token, 10);
  check(`${suite}: a made-up token opens no session`, (await service.store(bodies[0], opening(junk, 0, bodies[0]))).status === 401);
  const unopened = await service.store(bodies[0], goingOn(token, 0, bodies[0]));
  check(`${suite}: there is no session before it is opened`, unopened.status === 401);
  const first = await service.store(bodies[0], opening(token, 0, bodies[0]));
  check(`${suite}: a withheld token opens a session and stores`, first.status === 201);
  const second = await service.store(bodies[1], goingOn(token, 1, bodies[1]));
  check(`${suite}: the session stores`, second.status === 201);
  const other = await service.store(bodies[2], goingOn(token, 2, bodies[1]));
  check(`${suite}: a MAC over another body does not`, other.status === 401);
  for (const [at, { headers }] of [first, second].entries()) {
    const { body } = await service.http("GET", headers.location);
    check(`${suite}: store ${at} can be retrieved`, body.equals(bodies[at]));
  }
}

async function single(service, suite, token) {
  const body = randomBytes(640);
  const refused = await service.store(body, bearer(flipped(token, INPUT_BYTES + 20)));
  check(`${suite}: a token with a flipped bit stores nothing`, refused.status === 401);
  check(`${suite}: a token that is shown stores`, (await service.store(body, bearer(token))).status === 201);
  check(`${suite}: but once`, (await service.store(randomBytes(640), bearer(token))).status === 401);
}

for (const scheme of SUITES) {
  const { suite, plugin, library } = scheme;
  const service = await Service.start(program, `${plugins}/${library}`, plugin, `${folder}/${suite}`);
  const [first] = await tokens(service, scheme);
  await sessionOf(service, suite, first);
  const [last] = (await tokens(service, scheme)).slice(-1);
  await single(service, suite, last);
  await service.stop();
}
finish("the VOPRF over HTTP");
