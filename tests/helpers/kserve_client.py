"""Asks a prediction service with KServe's own client and prints what came back as JSON.

    PYTHON tests/helpers/kserve_client.py URL GRPC-ADDRESS

PYTHON is one that has the package `kserve`.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

VALUES = [[0.1, 2.5, -3.0], [1e-8, 0.3, 4.0]]


def request(binary):
    given = InferInput("values", [2, 3], "FP32")
    given.set_data_from_numpy(np.array(VALUES, np.float32), binary_data=binary)
    return InferRequest("many", [given], request_id="mine", parameters={"signature_name": "lists"})


def answer(response):
    outputs = {each.name: (each.datatype, list(each.shape), each.as_numpy().tolist()) for each in response.outputs}
    return {"id": response.id, "model": response.model_name, "version": response.model_version, "outputs": outputs}


async def over_rest(url):
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model": [await client.is_model_ready(url, name) for name in ("many", "absent")],
            "json": answer(await client.infer(url, request(False), model_name="many")),
            "binary": answer(await client.infer(url, request(True), model_name="many")),
        }
        try:
            await client.infer(url, request(False), model_name="absent")
        except Exception as error:
            found["refused"] = str(error)
    return found


async def over_grpc(address):
    async with InferenceGRPCClient(address) as client:
        found = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model": [await client.is_model_ready(name) for name in ("many", "absent")],
            "json": answer(await client.infer(request(False))),
            "binary": answer(await client.infer(request(True))),
        }
        try:
            await client.infer(InferRequest("absent", request(False).inputs))
        except Exception as error:
            found["refused"] = str(error)
    return found


async def main():
    url, address = sys.argv[1:]
    print(json.dumps({"rest": await over_rest(url), "grpc": await over_grpc(address)}))


if __name__ == "__main__":
    asyncio.run(main())
