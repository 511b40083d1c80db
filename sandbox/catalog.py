"""What the merchant sells: enough variety for options, long names and odd characters. Data only."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Product:
    """One thing for sale.

    Attributes:
        sku: stem of the stock keeping unit; a variation adds a suffix.
        name: description on the order line.
        usd: price in US dollars before conversion.
        options: names of the options with their values.
    """

    sku: str
    name: str
    usd: Decimal
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()


_SIZES = ("Size", ("XS", "S", "M", "L", "XL"))
_COLOURS = ("Colour", ("Black", "Écru", "Navy", "Rosé"))

PRODUCTS: tuple[Product, ...] = (
    Product("TEE-ORG", "Organic cotton T-shirt", Decimal("24.90"), (_SIZES, _COLOURS)),
    Product("HOOD-ZIP", "Zip hoodie, heavyweight (450 g/m²)", Decimal("79.00"), (_SIZES, _COLOURS)),
    Product("SOCK-3PK", "Merino socks, pack of 3", Decimal("29.95"), (("Size", ("35-38", "39-42", "43-46")),)),
    Product("DENIM-501", 'Selvedge jeans 14.5 oz, 32"/34"', Decimal("189.00"), (("Fit", ("Slim", "Straight")),)),
    Product("MUG-ENAMEL", "Enamel mug 350 ml", Decimal("14.50"), (_COLOURS,)),
    Product("CAFÉ-1KG", "Café en grains « Matinée », 1 kg", Decimal("32.40")),
    Product("KNIFE-SANTOKU", "三徳包丁 Santoku knife 165 mm", Decimal("148.00")),
    Product("CREAM-50", "Face cream 50 ml / 1.7 fl oz", Decimal("46.35")),
    Product("BOOK-ATLAS", "Atlas of Remote Islands — 50 islands I have never set foot on", Decimal("27.99")),
    Product("LAMP-OAK", "Desk lamp, oak & brass", Decimal("219.00"), (("Plug", ("EU", "UK", "US", "AU")),)),
    Product("WATCH-GMT", "Automatic watch GMT 40 mm", Decimal("1249.00"), (("Strap", ("Steel", "Leather")),)),
    Product("TENT-2P", "Two-person tent, 1.9 kg", Decimal("429.00")),
    Product("CHAI-100", "Masala chai, 100 g", Decimal("7.85")),
    Product("STICKER", "Sticker", Decimal("0.60")),
    Product("RING-925", "Silver ring 925", Decimal("58.20"), (("Size", ("50", "52", "54", "56")),)),
    Product("BAG-TOTE", "Tote bag «Große Freiheit»", Decimal("19.00")),
    Product("PEN-FP", "Fountain pen, nib M", Decimal("92.75"), (("Nib", ("EF", "F", "M", "B")),)),
    Product("YOGA-MAT", "Yoga mat 183 × 61 cm", Decimal("68.00"), (_COLOURS,)),
    Product("SOAP-ALEP", "Savon d'Alep 200 g", Decimal("8.90")),
    Product("CABLE-USBC", "USB-C cable 2 m, 100 W", Decimal("18.99")),
    Product("TOY-ROBOT", "Wooden robot <3+>", Decimal("35.00")),
    Product("PLANT-POT", "Plant pot Ø 14 cm", Decimal("22.15")),
    Product("GIFT-WRAP", "Gift wrapping", Decimal("3.50")),
    Product("SKI-GOGGLE", "Ski goggles, S2 lens", Decimal("134.99"), (("Lens", ("S1", "S2", "S3")),)),
)

CARRIERS: tuple[str, ...] = (
    "DHL Express Worldwide",
    "FedEx International Connect Plus",
    "Standard (tracked)",
    "宅急便",
)

PAYMENTS: tuple[str, ...] = ("card", "card", "card", "paypal", "klarna", "apple_pay", "ideal", "konbini")

NOTES: tuple[str, ...] = (
    "Please ring twice 🔔🔔",
    "Ein Geschenk 🎁 – bitte ohne Rechnung!",
    "玄関前に置いてください🙏",
    "اتصل قبل التوصيل",
    'Leave with "Bob" at no. 7; gate code <4711>',
    "👨‍👩‍👧‍👦 family order",
    "Merci d'avance\nÀ bientôt",
)

COUPONS: tuple[str, ...] = ("WELCOME10", "BLACKFRIDAY", "MERCI-5", "はじめて割")
