// The measure of a page's speed: a server that does nothing but answer the same bytes with the same headers, over TLS too
// where a certificate is given.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";

const [port, bodyFile, headersFile, securePort, certFile, keyFile] = process.argv.slice(2);
const body = readFileSync(bodyFile);
const headers = JSON.parse(readFileSync(headersFile, "utf8"));
const short = headers.filter((_, index) => !/^content-(?:length|type|encoding)$/.test(headers[index - (index % 2)]));
const answer = (request, response) => {
  if (request.headers["if-none-match"]) {
    response.writeHead(304, short);
    response.end();
    return;
  }
  response.writeHead(200, headers);
  response.end(body);
};
if (securePort) {
  const identity = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  createSecureServer(identity, answer).listen(Number(securePort), "127.0.0.1");
}
createServer(answer).listen(Number(port), "127.0.0.1");
