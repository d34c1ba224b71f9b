// An S3 for one test: s3rver stores, and what comes by a presigned URL of version 4 is let in only
// if AWS's own signer, given what really came, arrives at the signature in the URL (s3rver 3.7.1
// takes any: "Signature version 4 calculation is unimplemented"). Prints its port.
//     node s3.mjs DIRECTORY BUCKET

import { createServer } from "node:http";

import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import S3rver from "s3rver";

const [directory, bucket] = process.argv.slice(2);
const PARAMETERS = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"].map((p) => `X-Amz-${p}`);
const UNSIGNED = "x-amz-content-sha256";

class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function check(req) {
  const url = new URL(req.url, `http://${req.headers.host}`);
  const query = Object.fromEntries(url.searchParams);
  const [algorithm, credential, date, expires, names, signature] = PARAMETERS.map((p) => query[p]);
  if (algorithm !== "AWS4-HMAC-SHA256" || !signature) throw new Refusal("AccessDenied", "Access Denied");
  const region = credential.split("/")[2];
  const signedAt = new Date(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5"));
  if (Date.now() > signedAt.getTime() + 1000 * Number(expires)) throw new Refusal("AccessDenied", "Request has expired");

  const signed = new Set(names.split(";"));
  const strange = Object.keys(req.headers).filter((h) => h.startsWith("x-amz-") && !signed.has(h));
  if (strange.length)
    throw new Refusal("AccessDenied", `There were headers present in the request which were not signed: ${strange}`);
  const headers = { [UNSIGNED]: "UNSIGNED-PAYLOAD" };
  for (const name of signed) if (name in req.headers) headers[name] = req.headers[name];
  for (const name of PARAMETERS) delete query[name];

  const signer = new SignatureV4({
    service: "s3",
    region,
    sha256: Sha256,
    uriEscapePath: false,
    credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
  });
  const wanted = await signer.presign(
    { method: req.method, protocol: "http:", hostname: url.hostname, path: url.pathname, query, headers },
    {
      signingDate: signedAt,
      expiresIn: Number(expires),
      signableHeaders: signed,
      unsignableHeaders: new Set([UNSIGNED]),
      unhoistableHeaders: new Set([...signed, UNSIGNED]),
    },
  );
  if (wanted.query["X-Amz-Signature"] !== signature)
    throw new Refusal(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided.",
    );
}

const store = new S3rver({ directory, silent: true, configureBuckets: [{ name: bucket }] });
await store.configureBuckets();
const handle = store.callback();

const server = createServer(async (req, res) => {
  try {
    await check(req);
  } catch (error) {
    req.resume();
    const code = error.code ?? "InternalError";
    res.writeHead(error instanceof Refusal ? 403 : 500, { "Content-Type": "application/xml", Connection: "close" });
    res.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${error.message}</Message></Error>`);
    return;
  }
  handle(req, res);
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
process.stdin.resume().on("end", () => process.exit(0)); // whoever started us is gone
