"""Where the buyers live: countries, currencies, tax habits, names and streets. Data only."""

from dataclasses import dataclass
from decimal import Decimal

EXPONENTS = {
    "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "VND": 0,
    "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip
"""Digits after the point where they are not two (ISO 4217)."""

PER_USD = {
    "USD": Decimal("1"), "EUR": Decimal("0.9102"), "GBP": Decimal("0.7793"), "JPY": Decimal("149.52"),
    "KRW": Decimal("1378.4"), "CLP": Decimal("947.15"), "ISK": Decimal("137.62"), "VND": Decimal("25415"),
    "KWD": Decimal("0.30715"), "BHD": Decimal("0.376"), "OMR": Decimal("0.3845"), "JOD": Decimal("0.709"),
    "TND": Decimal("3.1127"), "CHF": Decimal("0.8814"), "SEK": Decimal("10.4218"), "NOK": Decimal("10.9335"),
    "DKK": Decimal("6.7881"), "PLN": Decimal("3.9276"), "CZK": Decimal("22.918"), "HUF": Decimal("362.44"),
    "RON": Decimal("4.5296"), "AUD": Decimal("1.5184"), "NZD": Decimal("1.6621"), "CAD": Decimal("1.3728"),
    "MXN": Decimal("19.284"), "BRL": Decimal("5.6412"), "INR": Decimal("84.071"), "THB": Decimal("33.542"),
    "SGD": Decimal("1.3196"), "HKD": Decimal("7.7713"), "TWD": Decimal("32.085"), "ILS": Decimal("3.7206"),
    "AED": Decimal("3.6725"), "SAR": Decimal("3.7503"), "ZAR": Decimal("17.633"), "TRY": Decimal("34.287"),
    "UAH": Decimal("41.262"), "MYR": Decimal("4.3385"), "KZT": Decimal("489.37"), "GEL": Decimal("2.7251"),
}  # fmt: skip
"""Units of the currency for one US dollar; frozen, for the sums only need to be consistent."""


def exponent(currency: str) -> int:
    """Digits after the point of a currency; 2 where nothing else is known."""
    return EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Country:
    """One destination.

    Attributes:
        code: ISO 3166-1 alpha-2.
        currency: ISO 4217.
        tax_rate: percent on the net price.
        inclusive: whether prices there are shown with tax inside.
        language: BCP 47 tag of the buyers.
        people: pairs of first and last names.
        streets: first address lines.
        cities: triples of city, region (may be empty) and postcode (may be empty).
        dial: telephone country code.
    """

    code: str
    currency: str
    tax_rate: Decimal
    inclusive: bool
    language: str
    people: tuple[tuple[str, str], ...]
    streets: tuple[str, ...]
    cities: tuple[tuple[str, str, str], ...]
    dial: str


def _names(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.rsplit(" ", 1) for pair in text.split(", "))
    return tuple((first, last) for first, last in pairs)


def _cities(text: str) -> tuple[tuple[str, str, str], ...]:
    triples = (city.split("/") for city in text.split(", "))
    return tuple((city, region, postcode) for city, region, postcode in triples)


def _country(line: str) -> Country:
    code, currency, rate, inclusive, language, people, streets, cities, dial = line.split(" | ")
    return Country(
        code,
        currency,
        Decimal(rate),
        inclusive == "in",
        language,
        _names(people),
        tuple(streets.split("; ")),
        _cities(cities),
        dial,
    )


_LINES = """
DE | EUR | 19 | in | de-DE | Jürgen Groß, Zoë Weiß, Karl-Heinz Müller-Lüdenscheidt | Königstraße 12; Am Bäckerberg 3a | Köln//50667, München//80331 | 49
FR | EUR | 20 | in | fr-FR | Éloïse Lefèvre, Benoît D'Aboville, Noël Garçon | 3 bis, rue de l'Église; 14 allée Françoise-Dolto | Besançon//25000, Saint-Étienne//42000 | 33
ES | EUR | 21 | in | es-ES | Íñigo Muñoz, María José Núñez | Calle del Año Nuevo, 7, 2º B; Plaza Mayor 1 | A Coruña/Galicia/15001, Cádiz/Andalucía/11001 | 34
IT | EUR | 22 | in | it-IT | Niccolò Dell'Orto, Chiara Bonfà | Via dell'Università 8; Corso Forlì 21 | Forlì/FC/47121, Cantù/CO/22063 | 39
GR | EUR | 24 | in | el-GR | Αλέξανδρος Παπαδόπουλος, Ευαγγελία Νικολάου | Οδός Ερμού 15; Λεωφόρος Συγγρού 120 | Αθήνα//105 63, Θεσσαλονίκη//546 24 | 30
IE | EUR | 23 | in | en-IE | Siobhán O'Súilleabháin, Pádraig Ó Briain | 12 Bóthar na Trá; 1 O'Connell Street | Dublin/Co. Dublin/D02 AF30, Galway/Co. Galway/H91 E4X6 | 353
FI | EUR | 25.5 | in | fi-FI | Väinö Hämäläinen, Åsa Öhman | Mäkelänkatu 4 A 12; Särkänlahdentie 9 | Jyväskylä//40100, Hämeenlinna//13100 | 358
GB | GBP | 20 | in | en-GB | Oliver Smith, Zoë Fotheringay-Phipps | Flat 2, 221b Baker Street; 4 Privet Drive | London//NW1 6XE, St Albans/Hertfordshire/AL1 1AA | 44
CH | CHF | 8.1 | in | de-CH | Urs Zürcher, Geneviève Rüegg | Bahnhofstrasse 1; Chemin des Crêts 11 | Zürich/ZH/8001, Genève/GE/1201 | 41
SE | SEK | 25 | in | sv-SE | Björn Åkesson, Märta Sjöström | Sveavägen 44; Östra Ågatan 5 | Malmö//211 20, Göteborg//411 03 | 46
NO | NOK | 25 | in | nb-NO | Øystein Bråthen, Åse Kjærgård | Møllergata 6; Sjøgata 15 | Tromsø//9008, Ålesund//6002 | 47
DK | DKK | 25 | in | da-DK | Søren Kjær, Ida Ågård | Nørrebrogade 20; Østergade 1 | København K//1050, Aarhus C//8000 | 45
PL | PLN | 23 | in | pl-PL | Łukasz Żółciński, Grażyna Święcicka | ul. Świętokrzyska 14/8; al. Róż 2 | Łódź//90-001, Gdańsk//80-001 | 48
CZ | CZK | 21 | in | cs-CZ | Řehoř Dvořák, Žaneta Šťastná | Náměstí Míru 9; Příčná 3 | Plzeň//301 00, České Budějovice//370 01 | 420
HU | HUF | 27 | in | hu-HU | Győző Szűcs, Őrsike Kővári | Petőfi Sándor utca 11; Fő tér 1 | Győr//9021, Pécs//7621 | 36
RO | RON | 19 | in | ro-RO | Ștefan Țîrlea, Ioana Mărgăritescu | Strada Ștefan cel Mare 5; Bulevardul Unirii 20 | București/Sector 3/030167, Iași/IS/700028 | 40
IS | ISK | 24 | in | is-IS | Þórður Ægisson, Sigríður Guðmundsdóttir | Laugavegur 26; Þórsgata 1 | Reykjavík//101, Ísafjörður//400 | 354
UA | UAH | 20 | in | uk-UA | Олексій Шевченко, Ївга Щербань | вул. Хрещатик, 22; пл. Ринок, 1 | Київ//01001, Львів//79008 | 380
KZ | KZT | 12 | out | kk-KZ | Әлия Нұрланқызы, Дәурен Қасымов | Абай даңғылы 52; Достық 5 | Алматы//050000, Астана//010000 | 7
GE | GEL | 18 | out | ka-GE | გიორგი ბერიძე, ნინო ჩხეიძე | რუსთაველის გამზირი 8; აღმაშენებლის 12 | თბილისი//0108, ბათუმი//6000 | 995
TR | TRY | 20 | in | tr-TR | İbrahim Çağlayan, Gülşah Ünlü | Atatürk Bulvarı No:18 D:4; Şişhane Sokak 3 | İstanbul/Beyoğlu/34421, Eskişehir/Odunpazarı/26010 | 90
US | USD | 7.25 | out | en-US | John O'Neil, Lakeisha Washington-Brown | 1600 Pennsylvania Ave NW; 350 5th Ave, Apt #12B | San José/CA/95112, New York/NY/10118 | 1
CA | CAD | 13 | out | fr-CA | Jean-François Côté, Maëlle Bélanger | 100, rue Saint-Jean; 55 Front St W | Québec/QC/G1R 4S9, Toronto/ON/M5J 1E6 | 1
MX | MXN | 16 | in | es-MX | José Ángel Ibáñez, Guadalupe Peña | Av. Insurgentes Sur 1457, Int. 3; Calle 5 de Mayo 20 | Ciudad de México/CDMX/03920, Mérida/YUC/97000 | 52
BR | BRL | 17 | in | pt-BR | João Conceição, Antônia Guimarães | Rua São Bento, 405; Av. Getúlio Vargas, 1000 | São Paulo/SP/01011-100, Brasília/DF/70040-010 | 55
CL | CLP | 19 | in | es-CL | Benjamín Ñancupil, Sofía Riquelme | Av. Libertador Bernardo O'Higgins 1058; Pasaje Ñuñoa 4 | Santiago/RM/8330111, Viñedos/Valparaíso/2520000 | 56
JP | JPY | 10 | in | ja-JP | 太郎 山田, 結衣 佐々木, 翔太 髙橋 | 千代田1-1; 銀座4丁目5番11号 メゾン銀座 302 | 千代田区/東京都/100-0001, 京都市中京区/京都府/604-8005 | 81
KR | KRW | 10 | in | ko-KR | 민준 김, 서연 박 | 세종대로 110; 해운대로 570번길 45 101동 1203호 | 서울특별시/중구/04524, 부산광역시/해운대구/48093 | 82
TW | TWD | 5 | in | zh-Hant-TW | 怡君 陳, 家豪 林 | 信義路五段7號89樓; 中山北路二段39巷3號 | 臺北市/信義區/110, 臺中市/西區/403 | 886
HK | HKD | 0 | out | zh-Hant-HK | 嘉欣 黃, 志明 歐陽 | 彌敦道100號15樓A室; 皇后大道中99號 | 尖沙咀/九龍/, 中環/香港島/ | 852
SG | SGD | 9 | out | en-SG | Wei Ling Tan, Muthu Krishnan | Blk 123 Ang Mo Kio Ave 3 #05-67; 1 Raffles Place | Singapore//560123, Singapore//048616 | 65
TH | THB | 7 | out | th-TH | สมชาย ใจดี, กัญญารัตน์ ศรีสุข | 99/1 ถนนสุขุมวิท; 12 ซอยอารีย์ 4 | กรุงเทพมหานคร/วัฒนา/10110, เชียงใหม่/เมือง/50200 | 66
VN | VND | 10 | out | vi-VN | Nguyễn Thị Hường, Trần Đức | 12 Đường Lê Lợi; 5 Phố Huế | Hà Nội//100000, Đà Nẵng//550000 | 84
MY | MYR | 8 | out | ms-MY | Siti Nurhaliza Abdullah, Rajesh Pillai | 12, Jalan Ampang; Lot 5, Lorong Kenanga 2/3 | Kuala Lumpur/WP/50450, George Town/Penang/10200 | 60
IN | INR | 18 | out | hi-IN | अनन्या शर्मा, विक्रम सिंह | 221, एम जी रोड; 14 चाँदनी चौक | बेंगलुरु/कर्नाटक/560001, दिल्ली/दिल्ली/110006 | 91
AU | AUD | 10 | in | en-AU | Sheila O'Brien, Nguyen Le | 1/23 Wallaby Way; 100 George St | Sydney/NSW/2000, Hobart/TAS/7000 | 61
NZ | NZD | 15 | in | en-NZ | Māhina Te Whānau, Aroha Ngāti | 7 Tāmaki Drive; 3 Cuba Street | Whangārei//0110, Ōtautahi//8011 | 64
IL | ILS | 17 | in | he-IL | דוד כהן, נועה בן־דוד | רחוב הרצל 5; שדרות רוטשילד 22 דירה 4 | תל אביב-יפו//6688102, ירושלים//9103401 | 972
AE | AED | 5 | out | ar-AE | محمد الهاشمي, فاطمة المنصوري | شارع الشيخ زايد 45; برج خليفة، الطابق 10 | دبي/دبي/, أبوظبي/أبوظبي/ | 971
SA | SAR | 15 | in | ar-SA | عبد الله القحطاني, نورة العتيبي | شارع الملك فهد 100; حي النخيل 7 | الرياض/الرياض/11564, جدة/مكة/21442 | 966
KW | KWD | 0 | out | ar-KW | خالد الصباح, منى العنزي | شارع فهد السالم 12; قطعة 3، منزل 8 | الكويت/العاصمة/13001, السالمية/حولي/22001 | 965
BH | BHD | 10 | out | ar-BH | علي الخليفة, مريم الزياني | طريق 2825، مبنى 15; شارع المعارض 6 | المنامة//317, المحرق//201 | 973
OM | OMR | 5 | out | ar-OM | سالم البوسعيدي, عائشة الحارثي | شارع السلطان قابوس 21; حي الخوير 5 | مسقط//112, صلالة//211 | 968
JO | JOD | 16 | in | ar-JO | ليث المجالي, رنا الزعبي | شارع الرينبو 9; جبل عمان، الدوار الثالث 4 | عمّان//11181, إربد//21110 | 962
TN | TND | 19 | in | fr-TN | Amèle Ben Saïd, يوسف الطرابلسي | 8, avenue Habib-Bourguiba; نهج القصبة 3 | Tunis//1000, Béja//9000 | 216
ZA | ZAR | 15 | in | en-ZA | Thandiwe Nkosi, Pieter van der Merwe | 12 Long Street; 4 Nelson Mandela Boulevard | Cape Town/WC/8001, Tshwane/GP/0002 | 27
"""  # noqa: E501

COUNTRIES: tuple[Country, ...] = tuple(_country(line) for line in _LINES.strip().splitlines())
"""Every destination the generator knows."""

HEAVY = ("DE", "FR", "GB", "US", "CA", "AU", "JP", "CH", "IT", "ES")
"""Countries that buy more often than the others."""
