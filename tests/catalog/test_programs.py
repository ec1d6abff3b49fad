"""The catalog's return types lead from the import of a library to the call that waits."""

from __future__ import annotations

import pytest

from bridgekit_codemods import catalog
from bridgekit_codemods.program import Program

CASES = {
    "redis.Redis.get": """
        import redis
        client = redis.Redis.from_url("redis://cache")
        def f():
            return client.get("key")
        """,
    "redis.client.Pipeline.execute": """
        from redis import Redis
        def f(client: Redis):
            with client.pipeline() as pipe:
                pipe.set("a", 1)
                pipe.execute()
        """,
    "pymongo.collection.Collection.find_one": """
        from pymongo import MongoClient
        def f():
            return MongoClient()["shop"]["users"].find_one({})
        """,
    "botocore.client.BaseClient.put_object": """
        import boto3
        s3 = boto3.client("s3")
        def f():
            s3.put_object(Bucket="b", Key="k", Body=b"")
        """,
    "botocore.paginate.PageIterator.__iter__": """
        import boto3
        def f():
            for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket="b"):
                print(page)
        """,
    "psycopg2.Cursor.execute": """
        import psycopg2
        def f():
            with psycopg2.connect("") as connection:
                with connection.cursor() as cursor:
                    cursor.execute("select 1")
        """,
    "psycopg.Connection.execute": """
        import psycopg
        def f():
            with psycopg.connect("") as connection:
                connection.execute("select 1")
        """,
    "pymysql.Cursor.fetchone": """
        import pymysql
        def f():
            return pymysql.connect().cursor().fetchone()
        """,
    "elasticsearch.client.IndicesClient.create": """
        from elasticsearch import Elasticsearch
        es = Elasticsearch("http://search")
        def f():
            es.indices.create(index="orders")
        """,
    "celery.Task.delay": """
        from celery import Task
        def f(task: Task):
            task.delay(1)
        """,
    "celery.result.AsyncResult.get": """
        from celery import Celery
        app = Celery("tasks")
        def f():
            return app.send_task("add", args=(1,)).get(timeout=5)
        """,
    "kafka.KafkaProducer.flush": """
        from kafka import KafkaProducer
        producer = KafkaProducer()
        def f():
            producer.flush()
        """,
    "paramiko.SFTPClient.get": """
        import paramiko
        def f():
            client = paramiko.SSHClient()
            client.open_sftp().get("a", "b")
        """,
    "google.cloud.storage.Blob.upload_from_string": """
        from google.cloud import storage
        def f():
            storage.Client().bucket("b").blob("k").upload_from_string("x")
        """,
    "azure.storage.blob.BlobClient.upload_blob": """
        from azure.storage.blob import BlobServiceClient
        service = BlobServiceClient.from_connection_string("")
        def f():
            service.get_blob_client("c", "b").upload_blob(b"")
        """,
    "urllib3.PoolManager.request": """
        import urllib3
        def f():
            return urllib3.PoolManager().request("GET", "http://example.org")
        """,
    "multiprocessing.Pool.map": """
        from multiprocessing import Pool
        def f():
            with Pool(2) as pool:
                return pool.map(str, [1])
        """,
    "smtplib.SMTP.send_message": """
        import smtplib
        def f(message):
            with smtplib.SMTP("mail") as server:
                server.send_message(message)
        """,
    "sqlalchemy.Inspector.get_table_names": """
        from sqlalchemy.engine.reflection import Inspector
        def f(inspector: Inspector):
            return inspector.get_table_names()
        """,
}


@pytest.mark.parametrize("dotted", CASES)
def test_the_call_that_waits_is_found(dotted: str) -> None:
    text = "\n".join(line[8:] for line in CASES[dotted].splitlines())
    program = Program.load({"app.py": text.encode()})
    assert program.problems == []
    reached = {name for site in program.calls for name in site.externals}
    effects = [catalog.blocking(name) for name in reached]
    assert dotted in {effect.dotted for effect in effects if effect is not None}
