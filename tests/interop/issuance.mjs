// A client written with the npm library privacypass-ts gets a token from a running service and stores with it:
// issuance.mjs HERALD PLUGIN FOLDER, the program, the plugin rate-blind-signature as a shared object, and a folder of its
// own. The token is asked for with an access token that a STIR certificate signs. Prints what holds; the first that does
// not ends it.
import { randomBytes } from "node:crypto";
import { AuthorizationHeader, MediaType, publicVerif, WWWAuthenticateHeader } from "@cloudflare/privacypass-ts";
import { check, finish, ISSUER, privateToken, Service } from "./service.mjs";

const [program, plugin, folder] = process.argv.slice(2);
const service = await Service.start(program, plugin, "rate-blind-signature", folder);
const [body, other] = [randomBytes(640), randomBytes(640)];

const refused = await service.store(body);
check("a store without a token is refused with a challenge", refused.status === 401);
const [{ challenge, tokenKey }] = WWWAuthenticateHeader.parse(refused.headers["www-authenticate"]);
check("the challenge is the service's", challenge.tokenType === 2 && challenge.issuerName === ISSUER);
const directory = await service.directory();
const offered = directory["token-keys"].map((key) => Buffer.from(key["token-key"], "base64url").toString("hex"));
check("its key is in the issuer directory", offered.includes(Buffer.from(tokenKey).toString("hex")));

const client = new publicVerif.Client(publicVerif.BlindRSAMode.PSS);
const asked = (await client.createTokenRequest(challenge, tokenKey)).serialize();
const path = directory["issuer-request-uri"];
const ask = (headers) =>
  service.http("POST", path, { "Content-Type": MediaType.PRIVATE_TOKEN_REQUEST, ...headers }, asked);
check("nobody gets a token without saying who asks", (await ask({})).status === 401);
const bearer = `Bearer ${service.accessToken(path)}`;
const issued = await ask({ Authorization: bearer });
check("the holder of a certificate gets one", issued.status === 200 && issued.headers["content-type"] === MediaType.PRIVATE_TOKEN_RESPONSE);
check("but not twice for one access token", (await ask({ Authorization: bearer })).status === 401);
const token = await client.finalize(client.deserializeTokenResponse(new Uint8Array(issued.body)));

const authorization = new AuthorizationHeader(token).toString(true);
const flipped = token.serialize();
flipped[200] ^= 1;
check("a token with a flipped bit stores nothing", (await service.store(body, { Authorization: privateToken(flipped) })).status === 401);
const stored = await service.store(body, { Authorization: authorization });
check("the token stores", stored.status === 201);
check("it stores no second time", (await service.store(other, { Authorization: authorization })).status === 401);
const found = (await service.http("GET", stored.headers.location)).body;
check("what was stored can be retrieved", found.equals(body));
finish("issuance");
