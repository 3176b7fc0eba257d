import shutil
import tempfile

from shop.gateway import Declined, Gateway

from .support import GatewayCase


class ChargeTest(GatewayCase):
    def test_charge(self):
        self.assertEqual(Gateway(self.base).charge("4242", 1250), "ch_1250")

    def test_declined(self):
        with self.assertRaises(Declined):
            Gateway(self.base).charge("4000", 100)


class ReceiptTest(GatewayCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp()

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_receipt(self):
        number = Gateway(self.base).charge("4242", 999)
        with open(f"{self.folder}/{number}", "w") as out:
            out.write("9.99\n")
        with open(f"{self.folder}/ch_999") as receipt:
            self.assertEqual(receipt.read(), "9.99\n")
