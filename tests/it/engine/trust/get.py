"""One request by the client that is named; prints what it learned."""

import asyncio
import sys
from urllib.parse import urlsplit

client, url = sys.argv[1:]
origin = "https://" + urlsplit(url).netloc


def urllib():
    import urllib.error
    import urllib.request

    try:
        return urllib.request.urlopen(url).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error} {error.read().decode()}"


def requests():
    import requests

    return requests.get(url).text


def niquests():
    import niquests

    return niquests.get(url).text


def httpx():
    import httpx

    return httpx.get(url).text


def urllib3():
    import urllib3

    return urllib3.PoolManager(retries=False).request("GET", url).data.decode()


def httplib2():
    import httplib2

    return httplib2.Http().request(url)[1].decode()


def aiohttp():
    import aiohttp

    async def get():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    return asyncio.run(get())


def tornado():
    from tornado.httpclient import AsyncHTTPClient

    async def get():
        return (await AsyncHTTPClient().fetch(url, raise_error=False)).body

    return asyncio.run(get())


def pycurl():
    import io

    import pycurl

    out, curl = io.BytesIO(), pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.WRITEDATA, out)
    curl.perform()
    return out.getvalue()


def curl_cffi():
    import curl_cffi

    return curl_cffi.get(url).text


def grpc():
    """The origin has no gRPC: the channel is ready once TLS and HTTP/2 are."""
    import grpc

    channel = grpc.secure_channel(urlsplit(url).netloc + ":443", grpc.ssl_channel_credentials())
    grpc.channel_ready_future(channel).result(20)
    try:
        channel.unary_unary("/hello/Hello")(b"", timeout=20)
    except grpc.RpcError as error:
        print(error.code(), error.details())
    return "hello from the origin"


def boto3():
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=origin, region_name="x", config=config)
    return s3.get_object(Bucket="bucket", Key="hello")["Body"].read()


def openai():
    import openai

    return openai.OpenAI(base_url=origin, api_key="x", max_retries=0).get("/hello", cast_to=str)


def anthropic():
    import anthropic

    return anthropic.Anthropic(base_url=origin, api_key="x", max_retries=0).get("/hello", cast_to=str)


def huggingface_hub():
    from huggingface_hub import get_session

    return get_session().get(url).text


try:
    print(globals()[client]())
except Exception as error:
    print(repr(error), error)
