// The measure of a page's speed: a server that does nothing but answer the same bytes with the same headers.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [port, bodyFile, headersFile, mode] = process.argv.slice(2);
const body = readFileSync(bodyFile);
const headers = JSON.parse(readFileSync(headersFile, "utf8"));
createServer((_request, response) => {
  if (mode === "304" && _request.headers["if-none-match"]) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  response.writeHead(200, headers);
  response.end(body);
}).listen(Number(port), "127.0.0.1");
