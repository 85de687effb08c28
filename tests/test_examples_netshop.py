"""The shop with its siblings and its worker."""

import re
import sys
import urllib.parse
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from trial import Service, Visitor, event_stream, follow, free_slots, sign_in, until


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with Service("account", tmp_path_factory.mktemp("account")) as service:
        yield service.listening()


@pytest.fixture(scope="module")
def reserve(tmp_path_factory):
    with Service("reserve", tmp_path_factory.mktemp("reserve")) as service:
        yield service.listening()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, account, reserve):
    data_dir = tmp_path_factory.mktemp("netshop")
    siblings = {"STORES_ACCOUNT_URL": account.url, "STORES_RESERVE_URL": reserve.url}
    with Service("netshop", data_dir, **siblings) as service, Service("netshop", data_dir, "worker") as worker:
        worker.line("waits for orders")
        yield service.listening()


def test_an_order_books_its_slot_and_is_fulfilled_by_the_worker_while_the_page_looks_on(shop, reserve):
    buyer, slot = Visitor(shop), free_slots(reserve)[2]
    with event_stream(shop) as events:
        before = until(events, "stock", bool)["notebook"]
        assert buyer.post("/cart", sku="notebook", add="2").status == 303
        assert "¥1,960" in buyer.get("/cart").body
        reply = buyer.post("/checkout", customer="Ann", slot=slot)
        assert reply.status == 303
        page = buyer.get(reply.headers["Location"]).body
        number = int(re.search(r'data-order="(\d+)"', page)[1])
        assert until(events, "stock", lambda stock: stock["notebook"] != before)["notebook"] == before - 2
        assert until(events, "orders", lambda orders: {"number": number, "state": "ready"} in orders)
    assert slot not in free_slots(reserve)
    assert "You pick it up on" in page


def test_a_slot_that_is_gone_leaves_the_cart_as_it_was(shop, reserve):
    buyer, slot = Visitor(shop), free_slots(reserve)[3]
    buyer.post("/cart", sku="pen", add="1")
    Visitor(reserve).post_json("/api/bookings", {"slot": slot, "name": "Somebody"})
    reply = buyer.post("/checkout", customer="Ann", slot=slot)
    assert reply.status == 409
    assert "Somebody was faster" in reply.body
    assert "Brass pen" in buyer.get("/cart").body


def test_what_is_sold_out_is_not_sold_and_its_slot_is_given_back(tmp_path, reserve):
    with Service("netshop", tmp_path, STORES_RESERVE_URL=reserve.url) as shop:  # no worker, who would fill the shelf
        slow, fast, slot = Visitor(shop.listening()), Visitor(shop), free_slots(reserve)[4]
        for buyer in (slow, fast):
            buyer.post("/cart", sku="lamp", quantity="3")
        assert fast.post("/checkout", customer="Fast").status == 303
        reply = slow.post("/checkout", customer="Slow", slot=slot)
        assert reply.status == 409
        assert "“Reading lamp” there is less left" in reply.body
        assert slot in free_slots(reserve)


def test_who_is_signed_in_at_account_is_greeted_by_the_shop(shop, account):
    visitor, _ = sign_in(account)
    buyer = Visitor(shop, cookies={"session": visitor.cookies["session"]})
    page = buyer.get("/").body
    assert "Alice Arai" in page
    assert "account: direct · reserve: direct" in page


def test_a_ticket_signs_in_where_browsers_share_no_cookie(shop, account):
    buyer = Visitor(shop, "netshop.localhost:8080")
    asked = urllib.parse.urlsplit(buyer.get("/sign-in?return_to=/cart").headers["Location"])
    assert asked.netloc == "account.localhost:8080"
    way_back = dict(urllib.parse.parse_qsl(asked.query))
    visitor, reply = sign_in(account, "account.localhost:8080", "http", **way_back)
    home = urllib.parse.urlsplit(follow(visitor, reply))
    assert buyer.get(f"{home.path}?{home.query}").status == 303
    assert "Alice Arai" in buyer.get("/").body


def test_the_page_speaks_japanese_to_who_reads_it(shop):
    reply = Visitor(shop).get("/", Accept_Language="fr, ja-JP;q=0.9, en;q=0.5")
    assert '<html lang="ja">' in reply.body
    assert "急須" in reply.body
    assert reply.headers["Vary"] == "Accept-Language"


def test_a_branch_of_the_shop_says_its_name(shop):
    assert "the day · tokyo" in Visitor(shop, "tokyo.netshop.local.example.com").get("/").body


def test_what_visitors_write_is_not_html(shop):
    buyer = Visitor(shop)
    buyer.post("/cart", sku="cup", add="1")
    reply = buyer.post("/checkout", customer="<script>alert(1)</script>")
    assert "&lt;script&gt;alert(1)" in buyer.get(reply.headers["Location"]).body


def test_without_its_siblings_the_shop_sells_on_and_says_so(tmp_path):
    with Service("netshop", tmp_path) as shop:
        buyer = Visitor(shop.listening())
        page = buyer.get("/")
        assert page.status == 200
        assert "The reservations cannot be reached right now" in page.body
        assert "account: not reachable" in page.body
        buyer.post("/cart", sku="cup", add="1")
        assert buyer.post("/checkout", customer="Ann").status == 303


def test_a_worker_that_comes_later_finds_the_orders_that_waited(tmp_path):
    with Service("netshop", tmp_path) as shop:
        buyer = Visitor(shop.listening())
        buyer.post("/cart", sku="cup", add="1")
        order = buyer.post("/checkout", customer="Ann").headers["Location"]
        assert ">paid<" in buyer.get(order).body
        with Service("netshop", tmp_path, "worker") as worker:
            worker.line("order 1: ready")
            assert ">ready<" in buyer.get(order).body
            assert worker.stop() < 1
