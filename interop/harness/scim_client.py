"""The compliance checks of scim2-tester against a SCIM service, one check a line on standard output.

The tester discovers what the service says it has, and makes, reads, changes and removes such resources with every attribute of
their schemas. A check of one type of resource passes when all its parts do. Some of the tester's agents are owned by a random text, which the
service refuses as it should: such a part says nothing.

usage: scim_client.py '{"url": …, "token": …}'
"""

import json
import re
import sys

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

REQUEST_S_MAX = 10.0
DETAIL_CHARS_MAX = 600
OWNED_BY_NOBODY = re.compile(r"`owners`: `[0-9a-f-]{36}` is no user")


def main():
    job = json.loads(sys.argv[1])
    headers = {"authorization": f"Bearer {job['token']}"}
    with httpx2.Client(base_url=job["url"], headers=headers, timeout=REQUEST_S_MAX) as http:
        results = check_server(SyncSCIMClient(http))
    checks = {}
    for result in results:
        check = checks.setdefault(f"{result.resource_type or 'service'}-{result.title}", {"parts": 0, "wrong": []})
        if result.status is Status.SKIPPED or OWNED_BY_NOBODY.search(result.reason or ""):
            continue
        check["parts"] += 1
        # Some of the tester's checks warn instead of failing; here nothing but success is right.
        if result.status is not Status.SUCCESS:
            check["wrong"].append(f"{result.status.name}: {result.reason}")
    for name, check in checks.items():
        if check["parts"] > 0:
            detail = "; ".join(check["wrong"])[:DETAIL_CHARS_MAX]
            print(json.dumps({"id": name, "passed": not check["wrong"], "detail": detail}), flush=True)


main()
