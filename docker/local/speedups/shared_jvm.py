"""One JVM for all the Spark programs of a night on one machine, one program after another.

A JVM of its own costs a program ten seconds of starting and of running code that is not compiled yet; a night has a
dozen such programs. On a cluster, and under `make up`, where programs may run side by side, each has its own.
"""

from __future__ import annotations

import os

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

from expectations.runtime.spark_session import driver_memory_from_environment


def start_shared_jvm() -> None:
    """Starts it, and leads every program started from now on to it, by the variables that PySpark reads.

    It listens on loopback, asks for a secret, and ends when this process does.
    """
    gateway = launch_gateway(SparkConf().set("spark.driver.memory", driver_memory_from_environment()))
    os.environ["PYSPARK_GATEWAY_PORT"] = str(gateway.java_parameters.port)
    os.environ["PYSPARK_GATEWAY_SECRET"] = gateway.java_parameters.auth_token
