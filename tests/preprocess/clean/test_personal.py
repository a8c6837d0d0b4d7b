from __future__ import annotations

import base64
import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.config.parse import parse
from dslm.errors import ConfigError
from dslm.preprocess.clean.personal.step import KINDS, Personal, PersonalConfig, PersonalKind
from dslm.preprocess.document import Document


def masked(text: str, *kinds: PersonalKind, private: bool = False) -> str:
    document = Document(text)
    settings = PersonalConfig(on=True, kinds=kinds or KINDS, private_addresses=private)
    assert Personal(settings)([document], Counter()) == [None]
    return document.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jane.doe+list@mail.example.co.uk.", "Write to <EMAIL>."),
        ("(info@example.org)", "(<EMAIL>)"),
        ("mailto:o'neil@example.com?subject=x", "mailto:<EMAIL>?subject=x"),
        ("邮箱abc_1@example.com，谢谢", "邮箱<EMAIL>，谢谢"),
        ("邮箱：abc@example.com.cn联系", "邮箱：<EMAIL>联系"),
        ("user@müller-söhne.de", "<EMAIL>"),
        ("a@example.com,b@example.com", "<EMAIL>,<EMAIL>"),
    ],
)
def test_an_email_address_is_masked(text: str, expected: str) -> None:
    assert masked(text, "email") == expected


@pytest.mark.parametrize(
    "text", ["3 @ 1.50", "@someone said", "a@b", "logo@2x.png", "react@18.2.0", "me@", "@"]
)
def test_what_only_has_an_at_sign_is_no_email_address(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 81.2.69.142.", "from <IP>."),
        ("http://93.184.216.34:80/x", "http://<IP>:80/x"),
        ("地址81.2.69.142。", "地址<IP>。"),
        ("to 2a00:1450:4001:81b::200e: ok", "to <IP>: ok"),
        ("2a00:1450:4001:081b:0000:0000:0000:200e", "<IP>"),
    ],
)
def test_an_ip_address_is_masked(text: str, expected: str) -> None:
    assert masked(text, "ip") == expected


@pytest.mark.parametrize(
    "text",
    [
        "version 81.2.69.142",
        "v81.2.69.142",
        "Chrome/91.0.44.124",
        "see 1.2.3.4",
        "256.81.2.69",
        "81.2.69.142.7",
        "81.2.069.142",
        "at 12:30:45 on 10:11:12:13:14:15:16",
        "std::vector a::b dead::beef",
        "10.20.30.40 and 127.0.0.10",
        "fe80::1 ::1 2001:db8::17",
    ],
)
def test_versions_times_and_private_addresses_are_no_ip_addresses(text: str) -> None:
    assert masked(text) == text


def test_private_addresses_are_masked_on_demand() -> None:
    text = "10.20.30.40, 127.0.0.10, fe80::1, ::1 and a::b"
    assert masked(text, private=True) == "<IP>, <IP>, <IP>, <IP> and a::b"


@pytest.mark.parametrize(
    "number",
    [
        "+44 20 7946 0958",
        "+1 (415) 555-2671",
        "+32 (0)2 790 75 75",
        "+86 138 0013 8000",
        "+4915112345678",
        "0044 20 7946 0958",
        "(415) 555-2671",
        "415-555-2671",
        "415.555.2671",
        "1-800-555-2671",
        "020 7946 0958",
        "01 23 45 67 89",
        "030/12345678",
        "+33\u00a01\u00a023\u00a045\u00a067\u00a089",
        "13800138000",
        "138-0013-8000",
        "010-62751234",
    ],
)
@pytest.mark.parametrize("around", ["call {} now", "电话{}谢谢", "{}", "({})", "a\n{}\nb"])
def test_a_telephone_number_is_masked(number: str, around: str) -> None:
    assert masked(around.format(number), "phone") == around.format("<PHONE>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tel: 790 75 75.", "Tel: <PHONE>."),
        ("Phone no. 4155552671", "Phone no. <PHONE>"),
        ("手机号：5550123456", "手机号：<PHONE>"),
        ("Tel 020 7946 0958 Fax 020 7946 0959", "Tel <PHONE> Fax <PHONE>"),
        ("020 7946 0958 2019", "<PHONE> 2019"),
        ("Tel (020 7946 0958) and phone (12) 345 67 89", "Tel (<PHONE>) and phone <PHONE>"),
    ],
)
def test_the_words_around_a_number_help_to_recognize_it(text: str, expected: str) -> None:
    assert masked(text, "phone") == expected


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-0-306-40615-7",
        "ISBN 0-306-40615-2",
        "isbn: 020 1234 5678",
        "ISSN 0317-8471",
        "01.02.2023 12:30",
        "2023-01-15 10:20:30",
        "1914-1918, 2014 - 2015",
        "mobile 2014-2015",
        "Hotel 1234567",
        "品种登记号GS-02-001-2009",
        "05184315-6703-4e60-8430-289b13800138",
        "$1,234,567.89 or 1 234 567 euros",
        "3.14159265358979",
        "0.01234 5678 9012",
        "共15000000000元",
        "编号1234567890123号",
        "10.1016/0304-3975(91)90194-9",
        "order A020 7946 0958B",
        "12 34 56 78 90 12",
        "公元前221年到1912年",
        "S M T W T F S 01 02 03 04 05 06 07\n08 09 10 11 12 13 14",
        "DE89 3704 0044 0532 0130 00",
        "IBAN: CH93 0076 2011 6238 5295 7",
        "NL91 ABNA 0417 1643 00",
    ],
)
def test_books_dates_accounts_and_amounts_are_no_personal_numbers(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("number", "issuer"),
    [
        ("4111111111111111", "Visa"),
        ("4111 1111 1111 1111", "Visa"),
        ("5555-5555-5555-4444", "Mastercard"),
        ("2223003122003222", "Mastercard"),
        ("378282246310005", "American Express"),
        ("3782 822463 10005", "American Express"),
        ("30569309025904", "Diners Club"),
        ("6011111111111117", "Discover"),
        ("3530111333300000", "JCB"),
        ("6200000000000005", "UnionPay"),
        ("6205 5000 0000 0000 004", "UnionPay"),
    ],
)
def test_the_issuers_own_test_cards_are_masked(number: str, issuer: str) -> None:
    assert masked(f"{issuer} 卡号{number}，", "card") == f"{issuer} 卡号<CARD>，"


@pytest.mark.parametrize(
    "number",
    ["4111111111111112", "9780306406157", "1111111111111117", "41111111111111111", "4111-11 111"],
)
def test_a_number_with_a_wrong_check_or_issuer_is_no_card(number: str) -> None:
    assert masked(number, "card") == number


# The standard's own example, and numbers made from it.
@pytest.mark.parametrize("number", ["11010519491231002X", "11010519491231002x"])
def test_an_identity_number_is_masked(number: str) -> None:
    assert masked(f"身份证号{number}，男", "id") == "身份证号<ID>，男"


@pytest.mark.parametrize(
    ("number", "wrong"),
    [
        ("110105194912310021", "check"),
        ("990105194912310020", "province"),
        ("110105194913310020", "month"),
        ("1101051949123100", "length"),
    ],
)
def test_a_wrong_number_is_no_identity(number: str, wrong: str) -> None:
    assert masked(number, "id") == number, wrong


def secret(length: int) -> str:
    generator = random.Random(length)
    return base64.b64encode(generator.randbytes(length), b"Ab").decode()[:length]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id AKIAIOSFODNN7EXAMPLE end", "id <KEY> end"),
        (f"ghp_{secret(36)}", "<KEY>"),
        ("xoxb-" + "123456789012-AbCdEf", "<KEY>"),
        (f"AIza{secret(35)}", "<KEY>"),
        (f"eyJ{secret(20)}.eyJ{secret(30)}.{secret(40)}", "<KEY>"),
        (f"api_key = '{secret(32)}'", "api_key = '<KEY>'"),
        (f'"client_secret": "{secret(24)}"', '"client_secret": "<KEY>"'),
        (f"PASSWORD={secret(20)}", "PASSWORD=<KEY>"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\n" + secret(64) + "\n-----END RSA PRIVATE KEY-----\n",
            "<KEY>\n",
        ),
        (f"-----BEGIN PRIVATE KEY-----\n{secret(64)}\n{secret(10)}", "<KEY>"),
    ],
)
def test_a_key_is_masked(text: str, expected: str) -> None:
    assert masked(text, "key") == expected


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "your_api_key_goes_here"',
        'token = "aaaaaaaaaaaaaaaaaaaaaaaaaaaa1"',
        "the key: internationalization2023 was easy",
        "https://example.com/2014/05/some-long-title-of-a-page",
        "sha1 = da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0B\n-----END PUBLIC KEY-----",
    ],
)
def test_placeholders_addresses_and_hashes_are_no_keys(text: str) -> None:
    assert masked(text) == text


TEXT = "a@example.com, b@example.com, 81.2.69.142, 415-555-2671, 4111111111111111"


def test_only_the_wanted_kinds_are_masked() -> None:
    assert masked(TEXT, "ip", "card") == TEXT.replace("81.2.69.142", "<IP>").replace(
        "4111111111111111", "<CARD>"
    )


def test_places_and_documents_are_counted_by_kind() -> None:
    counts: Counter[str] = Counter()
    documents = [Document(TEXT), Document("nothing"), Document("c@example.com")]
    Personal(PersonalConfig(on=True))(documents, counts)
    assert counts == {
        "personal data masked": 2,
        "email documents": 2,
        "email places": 3,
        "ip documents": 1,
        "ip places": 1,
        "phone documents": 1,
        "phone places": 1,
        "card documents": 1,
        "card places": 1,
    }


@given(st.text(alphabet="0123456789+-. ()@ab:/\n中\ud800", max_size=60))
def test_masking_twice_masks_once_and_keeps_all_else(text: str) -> None:
    once = masked(text)
    assert masked(once) == once
    pieces = [once]
    for kind in KINDS:
        pieces = [part for piece in pieces for part in piece.split(f"<{kind.upper()}>")]
    position = 0
    for piece in pieces:
        position = text.index(piece, position) + len(piece)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="kinds"):
        parse(PersonalConfig, json.loads('{"on": true, "kinds": ["email", "name"]}'))
