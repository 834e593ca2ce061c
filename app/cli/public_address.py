"""Tries the addresses of this server that others call or fetch, from the machine a command runs on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

from app.cli.verify.bodies import NotAnObject, read_object
from app.cli.verify.target import BadAddress, NoAnswer, Target
from app.domain.findings import Finding

PUBLIC_S = 5.0
"""How long this server's public address may take to answer."""


def of_public_url(public_url: str) -> Finding:
    """Whether this server answers where it says others reach it."""
    name = "public address"
    if not public_url:
        return Finding(name, "off", "PUBLIC_URL is not set; vendors that call or fetch from here need it")
    try:
        target = Target(public_url, PUBLIC_S, flag="PUBLIC_URL")
    except BadAddress as error:
        return Finding(name, "attention", f"{error}")
    with closing(target):
        try:
            answer = target.send("GET", "/healthz")
            is_ours = answer.status == 200 and read_object(answer.body).get("status") == "ok"
        except NoAnswer as error:
            return Finding(name, "attention", f"PUBLIC_URL does not answer from here: {error}")
        except NotAnObject:
            is_ours = False
    if not is_ours:
        said = f"PUBLIC_URL answered {answer.status} to GET /healthz, and not as this server does"
        return Finding(name, "attention", said)
    return Finding(name, "ok", f"PUBLIC_URL answers, in {answer.ms} ms")


def of_address(found: Finding) -> Finding:
    """The finding, after trying the address it is about, where it has one."""
    if not found.address:
        return found
    parts = urlsplit(found.address)
    if found.secret:
        found = replace(found, address=found.address.replace(found.secret, "***"), secret="")
    with closing(Target(f"{parts.scheme}://{parts.netloc}", PUBLIC_S, flag="PUBLIC_URL")) as target:
        try:
            status = target.send("HEAD", parts.path).status
            why = "" if status == 200 else f"it answered {status}"
        except NoAnswer as error:
            why = str(error)
    if not why:
        return replace(found, sentence=f"{found.sentence}; it can be fetched from here")
    return replace(found, state="attention", sentence=f"{found.sentence}; it cannot be fetched from here: {why}")
