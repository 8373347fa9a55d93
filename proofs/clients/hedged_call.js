// Calls a gRPC server with @grpc/grpc-js, which hedges by its service config.
//
// Usage: node hedged_call.js PORT TIMEOUT_SECONDS. Prints the status of the call.
"use strict";

const grpc = require("@grpc/grpc-js");

const [port, timeout] = process.argv.slice(2);
const config = {
  methodConfig: [
    {
      name: [{}],
      hedgingPolicy: {
        maxAttempts: 3,
        hedgingDelay: "10s",
        nonFatalStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};
const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
  "grpc.service_config": JSON.stringify(config),
  "grpc.service_config_disable_resolution": 1,
});
const bytes = (value) => value;
const deadline = new Date(Date.now() + 1000 * Number(timeout));
client.makeUnaryRequest(
  "/proofs.Echo/Call",
  bytes,
  bytes,
  Buffer.from("x"),
  new grpc.Metadata(),
  { deadline },
  (error) => {
    console.log(error ? grpc.status[error.code] : "OK");
    client.close();
  },
);
