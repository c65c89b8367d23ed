"""Makes `changes.jsonl` of the history of an organisation that keeps itself as code (see README.md beside this).

    python3 extract.py GIT_DIRECTORY > changes.jsonl

GIT_DIRECTORY is a clone (bare or not) of the repository that README.md names. Every commit on the first-parent line that touches
`config/` is read, the organisation as it stands there is put together, and what is different from the commit before is written as one line: a JSON
array of changes of a directory. Nothing of the source is kept but who is where: people, teams, repositories and organisations are
numbered in the order in which they first appear. The same history gives the same bytes.

Needs PyYAML. Knows nothing of how a preview is computed.
"""

import json
import subprocess
import sys

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What a team may do with a repository, from least to most.
GRADES = ["read", "triage", "write", "maintain", "admin"]

# How many commits after somebody left they are forgotten altogether.
FORGOTTEN_AFTER = 150


class Numbers:
    """Names as letters with numbers, in order of their first appearance."""

    def __init__(self):
        self.given = {}
        self.count = {}

    def of(self, letter, *name):
        key = (letter, *(str(part).lower() for part in name))
        if key not in self.given:
            self.count[letter] = self.count.get(letter, 0) + 1
            self.given[key] = f"{letter}{self.count[letter]}"
        return self.given[key]


def number(name):
    return int(name[1:])


def git(directory, *arguments):
    return subprocess.run(["git", "--git-dir", directory, *arguments], check=True, capture_output=True).stdout


class Source:
    """The files of the organisation, each as it was last readable."""

    def __init__(self, directory):
        self.directory = directory
        self.parsed = {}
        self.readable = {}

    def commits(self):
        log = git(self.directory, "log", "--first-parent", "--reverse", "--format=%H", "HEAD", "--", "config")
        return log.decode().split()

    def files(self, commit):
        """Path -> document of every file that says something of an organisation."""
        found = {}
        for line in git(self.directory, "ls-tree", "-r", commit, "config").decode().splitlines():
            meta, path = line.split("\t", 1)
            if len(path.split("/")) >= 3 and path.endswith((".yaml", ".yml")):
                found[path] = self.document(path, meta.split()[2])
        return found

    def document(self, path, blob):
        if blob not in self.parsed:
            try:
                read = yaml.load(git(self.directory, "cat-file", "blob", blob), Loader=LOADER)
                self.readable[path] = read if isinstance(read, dict) else {}
            except yaml.YAMLError:
                self.readable.setdefault(path, {})
            self.parsed[blob] = self.readable[path]
        self.readable[path] = self.parsed[blob]
        return self.parsed[blob]


class Organisation:
    """Everything that a directory holds, as it stands after one commit."""

    def __init__(self, numbers, owners):
        self.numbers = numbers
        self.owners = owners
        self.people = {}
        self.groups = {}
        self.places = {}
        self.items = {}

    def read(self, files):
        admins, members, teams = {}, {}, {}
        for path, document in sorted(files.items()):
            _, org, *folder = path.split("/")
            of = lambda key: [login for login in document.get(key) or [] if isinstance(login, str)]
            admins.setdefault(org, set()).update(self.person(login) for login in of("admins"))
            members.setdefault(org, set()).update(self.person(login) for login in of("members"))
            here = folder[:-1] and (org, folder[0])
            self.teams(org, here or None, document.get("teams"), None, teams)
        for org in sorted(set(admins) | set(members)):
            self.organisation(org, admins.get(org, set()), members.get(org, set()))
        self.structure(teams)
        self.repositories(teams)
        everybody = set().union(*self.groups.values()) if self.groups else set()
        administrators = set().union(*admins.values()) if admins else set()
        present = administrators.union(*members.values()) if members else administrators
        for person in sorted((name for name in everybody if name[0] == "p"), key=number):
            self.people[person] = describe(person, person in present, person in administrators)
        return self

    def person(self, login):
        return self.numbers.of("p", login)

    def teams(self, org, folder, described, parent, teams):
        for name, team in sorted((described or {}).items(), key=lambda pair: str(pair[0])):
            team = team or {}
            id = self.numbers.of("t", org, name)
            known = teams.setdefault(id, {"org": org, "folder": folder, "parent": parent, "members": set(), "repos": {}})
            logins = (team.get("members") or []) + (team.get("maintainers") or [])
            known["members"].update(self.person(login) for login in logins if isinstance(login, str))
            for repo, grade in (team.get("repos") or {}).items():
                known["repos"][self.numbers.of("r", org, repo)] = (org, str(grade).lower())
            self.teams(org, folder, team.get("children"), id, teams)

    def organisation(self, org, admins, members):
        o, a = self.numbers.of("o", org), self.numbers.of("a", org)
        self.groups[a] = set(admins)
        self.groups[o] = set(members) | {f"@{a}"}
        self.place(f"hall:{o}", {f"@{o}"})
        self.item(f"{o}/handbook", org, "internal", place=f"hall:{o}")
        self.item(f"{o}/billing", org, "restricted", ["money"], readers={f"@{a}"})

    def structure(self, teams):
        """Teams in teams, in the folders that describe them, in the organisation: three deep and more."""
        for team, known in teams.items():
            self.groups.setdefault(team, set()).update(known["members"])
            if known["parent"]:
                self.groups.setdefault(known["parent"], set()).add(f"@{team}")
                continue
            around = self.numbers.of("c", known["org"])
            if known["folder"]:
                folder = self.numbers.of("s", *known["folder"])
                self.groups.setdefault(folder, set()).add(f"@{team}")
                self.groups.setdefault(around, set()).add(f"@{folder}")
                self.place(f"channel:{folder}", {f"@{folder}"})
                self.item(f"{folder}/notes", known["org"], "confidential", place=f"channel:{folder}")
            else:
                self.groups.setdefault(around, set()).add(f"@{team}")
            self.place(f"channel:{around}", {f"@{around}"})
            self.item(f"{around}/roadmap", known["org"], "confidential", readers={f"channel:{around}"})

    def repositories(self, teams):
        granted = {}
        for team, known in teams.items():
            for repo, (org, grade) in known["repos"].items():
                rank = GRADES.index(grade) if grade in GRADES else 0
                granted.setdefault(repo, (org, []))[1].append((f"@{team}", rank))
        for repo, (org, grants) in granted.items():
            a, o = self.numbers.of("a", org), self.numbers.of("o", org)
            least = lambda grade: {team for team, rank in grants if rank >= GRADES.index(grade)}
            closed = number(repo) % 4 == 0
            everyone = {"public"} if number(repo) % 4 == 1 else {f"@{o}"}
            code = least("read") | {f"@{a}"} if closed else least("read") | everyone
            embargo = ["embargo"] if number(repo) % 8 == 0 else []
            self.item(f"{repo}/code", org, "restricted" if closed else "internal", embargo, readers=code)
            self.item(f"{repo}/keys", org, "restricted", ["keys"], readers=least("admin") | {f"@{a}"})
            self.place(f"board:{repo}", least("triage") | (set() if closed else {f"hall:{o}"}))
            self.item(f"{repo}/plans", org, "confidential" if closed else "internal", place=f"board:{repo}")
            # Drafts stand on the board and are read by those who write.
            self.item(f"{repo}/drafts", org, "confidential", readers=least("write"), place=f"board:{repo}" if closed else None)

    def place(self, id, audience):
        self.places[id] = audience

    def item(self, id, org, classification, categories=(), readers=None, place=None):
        if id not in self.owners:
            admins = self.groups.get(self.numbers.of("a", org)) or ()
            self.owners[id] = min(admins, key=lambda name: ((number(name) + len(self.owners)) % 7, number(name)), default=None)
        self.items[id] = {
            "readers": readers,
            "record": {
                "id": id,
                "classification": classification,
                **({"categories": sorted(categories)} if categories else {}),
                **({"owner": self.owners[id]} if self.owners[id] else {}),
                **({"container": place} if place else {}),
            },
        }


def describe(person, is_here, is_admin):
    """A person's record. Clearance is by a fixed rule on the number: the source knows none."""
    record = {"id": person}
    rest = number(person) % 10
    if rest == 0:
        record |= {"clearance": "restricted", "categories": ["embargo", "keys"]}
    elif rest in (1, 2):
        record |= {"clearance": "confidential", "categories": ["embargo"]}
    elif rest == 3:
        record |= {"clearance": "internal"}
    if not is_here:
        record |= {"status": "left"}
    if is_admin:
        record |= {"attributes": {"role": "admin"}}
    return record


def order(name):
    return (name.rstrip("0123456789"), int("0" + "".join(letter for letter in name if letter.isdigit())), name)


def ordered(names):
    return sorted(names, key=order)


class History:
    """What was written so far, and how to write what comes next."""

    def __init__(self):
        self.now = Organisation(None, None)
        self.known = {}
        self.gone = {}

    def step(self, moment, then):
        changes = list(self.people(moment, then))
        changes += self.sets(self.now.groups, then.groups, "group", self.put_group, "add_members", "remove_members", "members", None)
        changes += self.sets(
            self.now.places, then.places, "destination", self.put_place, "add_audience", "remove_audience", "audience", "set_audience"
        )
        changes += self.items(then)
        # What stays names nothing of this any longer.
        changes += [{"remove_item": {"id": id}} for id in ordered(set(self.now.items) - set(then.items))]
        changes += [{"remove_destination": {"id": id}} for id in ordered(set(self.now.places) - set(then.places))]
        changes += [{"remove_group": {"id": id}} for id in ordered(set(self.now.groups) - set(then.groups))]
        changes += list(self.forgotten(moment, then))
        self.now = then
        return changes

    def people(self, moment, then):
        for person in ordered(set(self.known) - set(then.people)):
            record = self.known[person]
            if record.get("status") != "left":
                # Who is named nowhere any longer has left, and is no administrator.
                then.people[person] = describe(person, False, False)
        for person, record in then.people.items():
            if self.known.get(person) != record:
                self.known[person] = record
                yield {"put_person": record}
            if record.get("status") == "left":
                self.gone.setdefault(person, moment)
            else:
                self.gone.pop(person, None)

    def forgotten(self, moment, then):
        named = set().union(*then.groups.values()) if then.groups else set()
        for person in ordered(self.gone):
            if self.gone[person] + FORGOTTEN_AFTER <= moment and person not in named:
                del self.gone[person], self.known[person]
                then.people.pop(person, None)
                yield {"remove_person": {"id": person}}

    def put_group(self, id, names):
        return {"put_group": {"id": id, "members": ordered(names)}}

    def put_place(self, id, names):
        return {"put_destination": {"id": id, "audience": ordered(names)}}

    def sets(self, before, after, key, put, add, remove, field, replace):
        for id in ordered(after):
            if id not in before:
                yield put(id, after[id])
                continue
            more, fewer = after[id] - before[id], before[id] - after[id]
            if more and fewer and replace:
                yield {replace: {key: id, field: ordered(after[id])}}
                continue
            if more:
                yield {add: {key: id, field: ordered(more)}}
            if fewer:
                yield {remove: {key: id, field: ordered(fewer)}}

    def items(self, then):
        for id in ordered(then.items):
            item, before = then.items[id], self.now.items.get(id)
            if before is None or before["record"] != item["record"]:
                readers = {} if item["readers"] is None else {"readers": ordered(item["readers"])}
                yield {"put_item": item["record"] | readers}
            elif item["readers"] is not None:
                one = ({id: before["readers"]}, {id: item["readers"]})
                yield from self.sets(*one, "item", None, "add_readers", "remove_readers", "readers", "set_readers")


def main():
    source = Source(sys.argv[1])
    numbers, owners, history = Numbers(), {}, History()
    commits = source.commits()
    for moment, commit in enumerate(commits):
        changes = history.step(moment, Organisation(numbers, owners).read(source.files(commit)))
        if changes:
            print(json.dumps(changes, separators=(",", ":")))
    print(f"{len(commits)} commits, {commits[0]} to {commits[-1]}", file=sys.stderr)


main()
