// A stream of JPEGs as many small Node programs serve it: header lines written one by one, and a blank line
// more than needed after each picture. Arguments: port, folder, pictures a second.
"use strict";
const fs = require("fs");
const http = require("http");
const path = require("path");

const [port, folder, rate] = process.argv.slice(2);
const names = fs.readdirSync(folder).sort();
const pictures = names.map((name) => fs.readFileSync(path.join(folder, name)));

http
  .createServer((request, response) => {
    response.writeHead(200, {
      "Content-Type": 'multipart/x-mixed-replace; boundary="frontier"',
      "Cache-Control": "no-cache",
    });
    let next = 0;
    const timer = setInterval(() => {
      const picture = pictures[next++ % pictures.length];
      response.write("--frontier\r\n");
      response.write("Content-Type: image/jpeg\r\n");
      response.write(`Content-Length: ${picture.length}\r\n`);
      response.write("\r\n");
      response.write(picture);
      response.write("\r\n\r\n");
    }, 1000 / Number(rate));
    response.on("close", () => clearInterval(timer));
  })
  .listen(Number(port), "127.0.0.1");
