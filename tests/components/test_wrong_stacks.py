"""Wrong stack files: each gives its one line, before anything is created."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from components.config import read_public_key
from components.settings import Settings
from tests.components import stack_program, wrong_stack
from tests.components.stack_program import Run, public_key_text, run_program
from tests.components.wrong_stack import TABLE_TYPES, Wrong

STACK = "md-raid.eu-central-1"
C4_REGIONS = (
    "ap-northeast-1, ap-northeast-2, ap-northeast-3, ap-south-1, ap-southeast-1, ap-southeast-2, "
    "ca-central-1, "
    "eu-central-1, eu-west-1, eu-west-2, sa-east-1, us-east-1, us-east-2, us-west-1, us-west-2"
)

WRONG = [
    Wrong(
        {"tidemark:sshCidr": None},
        f"tidemark:sshCidr: missing; set it: pulumi config set tidemark:sshCidr "
        f"$(curl -s https://checkip.amazonaws.com)/32 -s {STACK}",
    ),
    Wrong(
        {"tidemark:sshCidr": "0.0.0.0/0"},
        "tidemark:sshCidr: 0.0.0.0/0 would open SSH to anywhere; give your own network, such as "
        "203.0.113.7/32, "
        "or set tidemark:allowSshFromAnywhere true if that is meant",
    ),
    Wrong(
        {"tidemark:sshCidr": "::/0"},
        "tidemark:sshCidr: ::/0 would open SSH to anywhere; give your own network, such as 203.0.113.7/32, "
        "or set tidemark:allowSshFromAnywhere true if that is meant",
    ),
    Wrong(
        {"tidemark:sshCidr": "128.0.0.0/1"},
        "tidemark:sshCidr: 128.0.0.0/1 would open SSH to anywhere; give your own network, such as "
        "203.0.113.7/32, or set tidemark:allowSshFromAnywhere true if that is meant",
    ),
    Wrong(
        {"tidemark:sshCidr": "2001:db8::/32"},
        "tidemark:sshCidr: 2001:db8::/32 is IPv6 and the hosts have IPv4 addresses; give an IPv4 network",
    ),
    Wrong(
        {"tidemark:sshCidr": "203.0.113.7/24"},
        "tidemark:sshCidr: 203.0.113.7/24 is not a network; did you mean 203.0.113.0/24?",
    ),
    Wrong(
        {"tidemark:sshCidr": "203.0.113.7"},
        "tidemark:sshCidr: 203.0.113.7 has no prefix length; one address is written such as 203.0.113.7/32",
    ),
    Wrong(
        {"tidemark:sshCidr": "home/32"},
        "tidemark:sshCidr: home/32 is not a network; write it such as 203.0.113.7/32",
    ),
    *(
        Wrong(
            {"tidemark:sshCidr": text},
            f"tidemark:sshCidr: {text} is not in the form that AWS takes; did you mean {meant}?",
        )
        for text, meant in (
            ("93.184.216.34/255.255.255.255", "93.184.216.34/32"),
            ("93.184.216.0/0.0.0.255", "93.184.216.0/24"),
            ("93.184.216.34/032", "93.184.216.34/32"),
        )
    ),
    *(
        Wrong(
            {"tidemark:sshCidr": text},
            f"tidemark:sshCidr: {text} is {what}: nothing comes from there over the internet; give your public address "
            "(curl https://checkip.amazonaws.com)",
        )
        for text, what in (
            ("0.0.0.0/32", "not a host's address (RFC 791)"),
            ("10.0.0.0/8", "private (RFC 1918)"),
            ("100.64.3.4/32", "shared by a provider's customers (RFC 6598)"),
            ("127.0.0.1/32", "loopback (RFC 1122)"),
            ("169.254.7.7/32", "link-local (RFC 3927)"),
            ("172.31.0.0/16", "private (RFC 1918)"),
            ("192.168.1.20/32", "private (RFC 1918)"),
            ("203.0.113.7/32", "reserved for documentation (RFC 5737)"),
            ("224.0.0.5/32", "multicast (RFC 5771)"),
            ("255.255.255.255/32", "reserved (RFC 1112)"),
        )
    ),
    Wrong({"tidemark:sshCidr": " "}, "tidemark:sshCidr: empty; give it a value or remove the line"),
    Wrong(
        {"tidemark:allowSshFromAnywhere": "yes"},
        "tidemark:allowSshFromAnywhere: yes is neither true nor false; write true or false",
    ),
    Wrong(
        {"aws:region": None},
        f"aws:region: missing; set it: pulumi config set aws:region eu-central-1 -s {STACK}",
    ),
    Wrong(
        {"aws:region": "eu-centrl-1"},
        "aws:region: there is no region eu-centrl-1 (table of 2026-11); did you mean eu-central-1?",
    ),
    Wrong(
        {"aws:region": "moon"},
        "aws:region: there is no region moon (table of 2026-11); see `aws ec2 describe-regions --all-regions`",
    ),
    Wrong(
        {"aws:region": "eu-north-1", "tidemark:maxUsdPerHour": "none"},
        "tidemark:storageType: c4.8xlarge is not offered in eu-north-1 (table of 2026-11); regions "
        "that have it "
        f"(table of 2026-11): {C4_REGIONS}",
    ),
    Wrong(
        {"tidemark:storageType": "c4.9xlarge"},
        f"tidemark:storageType: c4.9xlarge is not in the table of 2026-11; give AWS credentials, or "
        f"choose one of "
        f"{TABLE_TYPES}",
    ),
    Wrong(
        {"tidemark:clientType": "t3.micro"},
        "tidemark:clientType: t3.micro cannot be in a cluster placement group; choose a type that is not "
        "burstable, such as c4.8xlarge or m5.xlarge",
        "burstable",
    ),
    Wrong(
        {"tidemark:storageType": "c5.9xlarge", "aws:region": "us-east-1", "tidemark:zone": "us-east-1e"},
        "tidemark:zone: us-east-1e does not offer c5.9xlarge and c4.8xlarge (table of 2026-11); "
        "choose one of "
        "us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f",
    ),
    Wrong(
        {"tidemark:zone": "eu-west-1a"},
        "tidemark:zone: eu-west-1a does not offer c4.8xlarge (table of 2026-11); choose one of "
        "eu-central-1a, "
        "eu-central-1b, eu-central-1c",
    ),
    Wrong(
        {"tidemark:volumeType": "gp4"},
        "tidemark:volumeType: there is no gp4; choose one of gp2, gp3, io1, io2, st1, sc1",
    ),
    Wrong(
        {"tidemark:volumeSizeGib": "15"},
        "tidemark:volumeSizeGib: 15 GiB is not possible; gp2 allows 16 to 16384 GiB here since each "
        "carries a "
        "logical volume of 15 GiB",
    ),
    Wrong(
        {"tidemark:volumeSizeGib": "20000"},
        "tidemark:volumeSizeGib: 20000 GiB is not possible; gp2 allows 16 to 16384 GiB here since "
        "each carries a "
        "logical volume of 15 GiB",
    ),
    Wrong(
        {"tidemark:volumeType": "st1"},
        "tidemark:volumeSizeGib: 50 GiB is not possible; st1 allows 125 to 16384 GiB here",
    ),
    Wrong(
        {"tidemark:volumeSizeGib": "fifty"},
        "tidemark:volumeSizeGib: fifty is not a whole number; allowed are 1 to 65536",
    ),
    *(
        Wrong(
            {"tidemark:lifetimeHours": text},
            f"tidemark:lifetimeHours: {text} is not a whole number in plain digits; allowed are 1 to 168",
        )
        for text in ("010", "1_0", "١٢", "4.0", "0x4", "²")
    ),
    Wrong(
        {"tidemark:lifetimeHours": "9" * 5000},
        f"tidemark:lifetimeHours: {'9' * 40}… (5000 characters) is not a whole number in plain digits; allowed are 1 "
        "to 168",
        "more digits than Python converts",
    ),
    Wrong(
        {"tidemark:memoryLimitMib": "0512"},
        "tidemark:memoryLimitMib: 0512 is not a whole number in plain digits; allowed are 256 to 16777216, or none",
    ),
    *(
        Wrong(
            {"tidemark:maxUsdPerHour": text},
            f"tidemark:maxUsdPerHour: {text} is not a positive amount; give dollars an hour, such as 10, or none",
        )
        for text in ("1_0", "١٢", "010", "1e1", "0")
    ),
    Wrong(
        {"tidemark:sshPublicKeyFile": "~nobody-of-that-name/id.pub"},
        "tidemark:sshPublicKeyFile: ~nobody-of-that-name/id.pub names a user who is not known here; give the path of "
        "the file",
    ),
    Wrong(
        {"tidemark:sshPublicKeyFile": "a\0b.pub"},
        "tidemark:sshPublicKeyFile: 'a\\x00b.pub' cannot be a path; give the path of the file",
    ),
    *(
        Wrong(
            {"aws:endpoints": f'[{{"ec2": "{url}"}}]'},
            f"aws:endpoints: ec2 is {url}, which is not a URL; write a list of service: URL, such as - ec2: "
            "http://127.0.0.1:4566",
        )
        for url in ("http://my_host:4566", "http://[::1", "http://127.0.0.1:99999")
    ),
    Wrong(
        {"tidemark:volumeIops": "3000"},
        "tidemark:volumeIops: gp2 takes no number of IOPS; remove it, or choose gp3, io1 or io2",
    ),
    Wrong(
        {"tidemark:volumeType": "gp3", "tidemark:volumeIops": "2000"},
        "tidemark:volumeIops: 2000 IOPS is out of range; gp3 allows 3000 to 16000",
    ),
    Wrong(
        {"tidemark:volumeType": "gp3", "tidemark:volumeIops": "16000", "tidemark:volumeSizeGib": "20"},
        "tidemark:volumeIops: 16000 IOPS is too many; gp3 allows 500 a GiB, 10000 for 20 GiB",
    ),
    Wrong(
        {"tidemark:volumeType": "io1", "tidemark:volumeIops": "3000"},
        "tidemark:volumeIops: 3000 IOPS is too many; io1 allows 50 a GiB, 2500 for 50 GiB",
    ),
    Wrong(
        {"tidemark:volumeType": "io2"},
        "tidemark:volumeIops: missing, and io2 needs it; allowed are 100 to 256000",
    ),
    Wrong(
        {
            "tidemark:volumeType": "io2",
            "tidemark:volumeIops": "40000",
            "tidemark:maxUsdPerHour": "none",
        },
        "tidemark:volumeIops: c4.8xlarge reaches 32000 IOPS a volume at most; choose fewer, or a "
        "type that is "
        "built on Nitro, such as c5n.9xlarge",
    ),
    Wrong(
        {"tidemark:storageServers": "1"},
        "tidemark:storageServers: 1 is out of range; allowed are 2 to 8",
    ),
    Wrong(
        {"tidemark:storageServers": "9"},
        "tidemark:storageServers: 9 is out of range; allowed are 2 to 8",
    ),
    Wrong(
        {"tidemark:volumesPerServer": "11"},
        "tidemark:volumesPerServer: 11 is out of range; allowed are 1 to 10",
    ),
    Wrong(
        {"tidemark:cpuLimit": "5"},
        "tidemark:cpuLimit: c4.8xlarge cannot be launched with 5 CPUs; possible are 2, 4, 6, 8, 10, "
        "12, 14, 16, "
        "18, 20, 24, 28, 32, 36, or none",
    ),
    Wrong(
        {"tidemark:cpuLimit": "few"},
        "tidemark:cpuLimit: few is not a whole number; allowed are 1 to 448, or none",
    ),
    Wrong(
        {"tidemark:memoryLimitMib": "65536"},
        "tidemark:memoryLimitMib: 65536 MiB does not limit the 61440 MiB of c4.8xlarge; choose less, or none",
    ),
    Wrong(
        {"tidemark:lifetimeHours": "0"},
        "tidemark:lifetimeHours: 0 is out of range; allowed are 1 to 168",
    ),
    Wrong(
        {"tidemark:lifetimeHours": None},
        f"tidemark:lifetimeHours: missing; set it: pulumi config set tidemark:lifetimeHours 4 -s {STACK}",
    ),
    Wrong(
        {"tidemark:maxUsdPerHour": "5"},
        "tidemark:maxUsdPerHour: this stack costs $7.41 an hour, above the limit of $5.00; raise the "
        "limit or ask "
        "for less",
    ),
    Wrong(
        {"tidemark:maxUsdPerHour": "free"},
        "tidemark:maxUsdPerHour: free is not a positive amount; give dollars an hour, such as 10, or none",
    ),
    Wrong(
        {"tidemark:maxUsdPerHour": "nan"},
        "tidemark:maxUsdPerHour: nan is not a positive amount; give dollars an hour, such as 10, or none",
    ),
    Wrong(
        {"aws:region": "us-west-2"},
        "tidemark:maxUsdPerHour: the limit of $10.00 cannot be checked: the price table of 2025-06 has no "
        "c4.8xlarge, gp3 volumes, gp2 volumes in us-west-2; look the price up, and set "
        "tidemark:maxUsdPerHour to "
        "none if you accept it",
        "price unknown",
    ),
    Wrong(
        {"tidemark:volumSizeGib": "50"},
        "tidemark:volumSizeGib: not a setting of this experiment; did you mean tidemark:volumeSizeGib?",
    ),
    Wrong(
        {"tidemark:colour": "blue"},
        "tidemark:colour: not a setting of this experiment; remove it; the settings are "
        "allowSshFromAnywhere, "
        "clientType, component, cpuLimit, experiment, lifetimeHours, maxUsdPerHour, memoryLimitMib, sshCidr, "
        "sshProxyCommand, "
        "sshPublicKeyFile, storageServers, storageType, volumeIops, volumeSizeGib, volumeType, "
        "volumesPerServer, "
        "zone",
    ),
    Wrong(
        {"tidemark:experiment": "md-rade"},
        "tidemark:experiment: there is no md-rade; choose one of efs-iops, eip-region, encrypted-backup, "
        "iscsi-tunnel, md-raid, s3-throttle",
    ),
    Wrong(
        {"tidemark:experiment": None},
        "tidemark:experiment: missing; choose one of efs-iops, eip-region, encrypted-backup, iscsi-tunnel, md-raid, "
        f"s3-throttle: pulumi config set tidemark:experiment NAME -s {STACK}",
    ),
    Wrong(
        {"tidemark:sshProxyCommand": "nc gateway 22"},
        "tidemark:sshProxyCommand: no %h and %p in it; they stand for the host's address and port",
    ),
    Wrong(
        {"aws:endpoints": "http://127.0.0.1:4566"},
        "aws:endpoints: not structured; write a list of service: URL, such as - ec2: http://127.0.0.1:4566",
    ),
    Wrong(
        {"aws:endpoints": json.dumps([{"ec2": "127.0.0.1:4566"}])},
        "aws:endpoints: ec2 is 127.0.0.1:4566, which is not a URL; write a list of service: URL, "
        "such as - ec2: "
        "http://127.0.0.1:4566",
    ),
    Wrong(
        {"aws:endpoints": json.dumps([{"ec2": "http://127.0.0.1:4566", "ssm": "https://ssm.example.org"}])},
        "aws:endpoints: some endpoints are on this machine and ssm is not; use one or the other",
    ),
    Wrong(
        {"aws:endpoints": json.dumps([{"ssm": "http://127.0.0.1:4566"}])},
        "aws:endpoints: without ec2, instances would be created on AWS; add ec2",
    ),
    Wrong(
        {
            "aws:endpoints": json.dumps([{"ec2": "http://127.0.0.1:9"}]),
            "aws:accessKey": "rehearsal",
            "aws:secretKey": "rehearsal",
        },
        "aws:endpoints: no rehearsal region answers at http://127.0.0.1:9; start it: fab lab.up",
    ),
    Wrong(
        {"aws:accessKey": "half"},
        "aws:secretKey: missing, though aws:accessKey is there; set both or neither",
    ),
    Wrong(
        {"aws:profile": "nobody"},
        "aws:region: there is no AWS profile nobody; see `aws configure list-profiles`",
    ),
]


def config_with(changes: Mapping[str, str | None], public_key_file: Path) -> dict[str, str]:
    return stack_program.config_with(STACK, changes, public_key_file)


def lines_of_refusal(config: dict[str, str], *, image_error: str | None = None) -> list[str]:
    return wrong_stack.lines_of_refusal(STACK, config, image_error=image_error)


def test_the_unchanged_stack_is_right(declare_once: Callable[..., Run]) -> None:
    assert declare_once(STACK).resources


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_one_line_and_nothing_created(wrong: Wrong, public_key_file: Path) -> None:
    assert lines_of_refusal(config_with(wrong.changes, public_key_file)) == [wrong.line]


def test_several_faults_are_all_told(public_key_file: Path) -> None:
    lines = lines_of_refusal(
        config_with(
            {
                "tidemark:sshCidr": None,
                "tidemark:lifetimeHours": "1000",
                "tidemark:volumeSizeGib": "10",
                "aws:region": "eu-north-1",
            },
            public_key_file,
        )
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "tidemark:sshCidr",
        "tidemark:lifetimeHours",
        "tidemark:volumeSizeGib",
        "tidemark:storageType",
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("id", None, "{} does not end in .pub; name the public half of the key pair"),
        (
            "none.pub",
            None,
            "{} cannot be read (no such file or directory); make a key pair: ssh-keygen -t ed25519 -N '' -f {private}",
        ),
        (
            "a.pub",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n",
            "{} holds a private key; expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…",
        ),
        ("b.pub", "", "{} is not a public key; expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…"),
        (
            "c.pub",
            public_key_text("ecdsa-sha2-nistp256", 65),
            "{} is of a type that EC2 does not take (ecdsa-sha2-nistp256); expected one line: "
            "ssh-ed25519 AAAA… or "
            "ssh-rsa AAAA…",
        ),
        (
            "d.pub",
            public_key_text()[:40],
            "{} is a public key that was cut or changed; expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…",
        ),
        (
            "e.pub",
            "ssh-ed25519 ????",
            "{} is not a public key; expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…",
        ),
        (
            "g.pub",
            "ssh-ed25519 AAAAé",
            "{} is not a public key; expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…",
        ),
        (
            "f.pub",
            public_key_text() + "\n" + public_key_text(),
            "{} is not a public key; expected one line: ssh-ed25519 AAAA… or ssh-rsa AAAA…",
        ),
    ],
)
def test_wrong_public_key_files(name: str, text: str | None, line: str, tmp_path: Path, public_key_file: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    config = config_with({"tidemark:sshPublicKeyFile": str(path)}, public_key_file)
    expected = line.format(path, private=str(path).removesuffix(".pub"))
    assert lines_of_refusal(config) == [f"tidemark:sshPublicKeyFile: {expected}"]


def test_a_comment_of_a_public_key_may_have_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519.pub"
    path.write_text(f"{public_key_text()} jos\u00e9@b\u00fcro\n", encoding="utf-8")
    key = read_public_key(Settings({"tidemark:sshPublicKeyFile": str(path)}, "md-raid.lab"), tmp_path)
    assert key.text == public_key_text()


def test_a_private_key_is_not_even_opened(tmp_path: Path, public_key_file: Path) -> None:
    fifo = tmp_path / "id_ed25519"  # opening it would wait for ever
    import os

    os.mkfifo(fifo)
    (line,) = lines_of_refusal(config_with({"tidemark:sshPublicKeyFile": str(fifo)}, public_key_file))
    assert "does not end in .pub" in line


def test_an_image_that_cannot_be_looked_up(public_key_file: Path) -> None:
    (line,) = lines_of_refusal(config_with({}, public_key_file), image_error="ParameterNotFound:\n  no such parameter")
    assert line.startswith("aws:region: the Debian 12 image could not be looked up in eu-central-1 (")
    assert "ParameterNotFound: no such parameter" in line
    assert line.endswith(
        "aws ssm get-parameter --name /aws/service/debian/release/12/latest/amd64 --region eu-central-1"
    )


def test_anywhere_when_asked_for_by_name(public_key_file: Path) -> None:
    run = Run()
    changes: dict[str, str | None] = {
        "tidemark:sshCidr": "0.0.0.0/0",
        "tidemark:allowSshFromAnywhere": "true",
    }
    run_program(run, config_with(changes, public_key_file), STACK)
    assert run.named("md-raid-members-in-ssh").inputs["cidrIpv4"] == "0.0.0.0/0"


def test_a_line_stays_one_line_whatever_is_in_the_file(public_key_file: Path) -> None:
    lines = lines_of_refusal(config_with({"tidemark:volumeType": "gp2\nok: all is well"}, public_key_file))
    assert len(lines) == 1


def online(endpoint: str, changes: dict[str, str | None], public_key_file: Path) -> dict[str, str]:
    return config_with(
        {
            "aws:endpoints": json.dumps([{"ec2": endpoint, "ssm": endpoint}]),
            "aws:accessKey": "rehearsal",
            "aws:secretKey": "rehearsal",
            **changes,
        },
        public_key_file,
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"aws:region": "eu-north-1", "tidemark:maxUsdPerHour": "none"},
            "tidemark:storageType: c4.8xlarge is not offered in eu-north-1 (the account's own "
            "answer); regions that "
            f"have it (table of 2026-11): {C4_REGIONS}",
        ),
        (
            {"aws:region": "me-central-1", "tidemark:maxUsdPerHour": "none"},
            "aws:region: me-central-1 is not enabled in this account; enable it: aws account enable-region "
            "--region-name me-central-1",
        ),
        (
            {"aws:region": "eu-centrl-1"},
            "aws:region: there is no region eu-centrl-1 (the account's own answer); did you mean eu-central-1?",
        ),
        (
            {"tidemark:clientType": "c4.8xlarg"},
            "tidemark:clientType: c4.8xlarg is not offered in eu-central-1 (the account's own "
            "answer); did you mean "
            "c4.8xlarge?",
        ),
        (
            {"tidemark:clientType": "c7g.4xlarge"},
            "tidemark:clientType: c7g.4xlarge is arm64 and the image is x86_64; choose a type with "
            "an Intel or AMD "
            "processor",
        ),
        (
            {"tidemark:zone": "eu-central-1z"},
            "tidemark:zone: eu-central-1z does not offer c4.8xlarge (the account's own answer); "
            "choose one of "
            "eu-central-1a, eu-central-1b, eu-central-1c",
        ),
    ],
)
def test_what_the_account_answers(
    changes: dict[str, str | None], line: str, moto_endpoint: str, public_key_file: Path
) -> None:
    config = online(
        moto_endpoint,
        {"tidemark:maxUsdPerHour": "none", "tidemark:cpuLimit": "none", **changes},
        public_key_file,
    )
    assert lines_of_refusal(config) == [line]
