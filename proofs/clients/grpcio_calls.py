"""Calls a gRPC server with grpcio, which retries by its service config.

Usage: grpcio_calls.py PORT CALLS TIMEOUT_SECONDS. Prints the status of each call.
"""

import json
import sys

import grpc

port, calls, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
config = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
options = [("grpc.service_config", json.dumps(config)), ("grpc.enable_retries", 1)]
with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
    call = channel.unary_unary("/proofs.Echo/Call")
    for _ in range(calls):
        try:
            call(b"x", timeout=timeout)
            print("OK")
        except grpc.RpcError as error:
            print(error.code().name)
