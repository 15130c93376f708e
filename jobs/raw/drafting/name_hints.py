"""What columns are called in exports: words for each column of the contract, in the languages that shops write in.

Names are compared without case, accents, blanks and signs: `Customer ID`, `customer_id` and `customerId` are one word.
"""

from __future__ import annotations

import re
import unicodedata

_PLAIN = {
    "event_time": (
        "eventtime eventtimestamp timestamp createdat datetime orderdate ordertime ordertimestamp "
        "orderpurchasetimestamp purchasedate purchasedat servertime occurredat happenedat time ts tdat invoicedate "
        "transactiondate eventdate timestampms clicktimestamp timestampint reviewtime unixreviewtime collectortstamp "
        "derivedtstamp timelocal zeitpunkt zeitstempel bestelldatum bestellzeit datum erstelltam kaufdatum fechahora "
        "fecha fechapedido fechacompra fechacreacion horodatage datecommande datecreation dateachat datahora "
        "datapedido datacompra datacriacao shijian xiadanshijian chuangjianshijian goumaishijian riqi"
    ),
    "user_id": (
        "userid user customerid customer customernumber customerno visitorid visitor userpseudoid clientid memberid "
        "uid buyerid shopperid accountid personid fullvisitorid anonymousid idvisitor deviceid reviewerid profileid "
        "kunde kundeid kundenid kundennr kundennummer benutzer benutzerid besucher kaeufer kaufer cliente clienteid "
        "idcliente codcliente usuario usuarioid idusuario comprador client idclient clientnumero utilisateur "
        "idutilisateur acheteur visiteur utilizador yonghu yonghuid kehu kehuid huiyuan huiyuanid maijia"
    ),
    "item_id": (
        "itemid item productid product sku productsku variantsku lineitemsku articleid article articlenumber asin "
        "parentasin goodsid movieid movie trackid bookid isbn stockcode contentid offerid listingid productcode "
        "itemcode artikel artikelid artikelnr artikelnummer produkt produktid produktnr produktnummer producto "
        "productoid idproducto codproducto articulo idarticulo codigoproducto produit produitid idproduit "
        "codeproduit produto produtoid idproduto codproduto codigoproduto shangpin shangpinid shangpinbianhao huohao "
        "spbh"
    ),
    "event_type": (
        "eventtype eventname event action actiontype behavior behaviortype behaviour interaction interactiontype "
        "activity ereignis ereignistyp aktion evento tipoevento accion tipoaccion evenement typeevenement acao "
        "tipoacao xingwei xingweileixing"
    ),
    "quantity": (
        "quantity qty units qtyordered lineitemquantity itemquantity pieces numitems menge anzahl stueck stuck "
        "stueckzahl cantidad unidades quantite qte nombreunites quantidade qtd qtde unidade shuliang"
    ),
    "price": (
        "price unitprice itemprice lineitemprice saleprice saleprices priceusd priceeur productprice sellingprice "
        "preis einzelpreis stueckpreis stuckpreis verkaufspreis precio preciounitario precioventa prix prixunitaire "
        "prixvente preco precounitario precovenda jiage danjia shoujia"
    ),
    "session_id": (
        "sessionid session gasessionid orderid ordernumber orderno order transactionid transaction tx visitid visit "
        "basketid invoiceno invoiceid invoice cartid usersession incrementid idorder bestellung bestellnr "
        "bestellnummer bestellid auftragsnr auftragsnummer sitzung pedido idpedido pedidoid numeropedido commande "
        "idcommande numerocommande sesion idsesion sessao idsessao dingdan dingdanhao dingdanid huihua huihuaid"
    ),
    "title": (
        "title itemname productname lineitemname itemtitle producttitle articlename prodname titel bezeichnung "
        "artikelname artikelbezeichnung produktname titulo nombreproducto nombrearticulo titre nomproduit libelle "
        "nomeproduto biaoti mingcheng shangpinmingcheng"
    ),
    "description": (
        "description bodyhtml longdescription productdescription itemdescription detaildesc beschreibung "
        "produktbeschreibung artikelbeschreibung descripcion descriptif descricao miaoshu"
    ),
    "category": (
        "category categories categoryname categorypath categorycode itemcategory productcategory producttype "
        "producttypename maincategory googleproductcategory kategorie kategorien warengruppe produktkategorie "
        "categoria categorias rubro familia categorie rayon leimu fenlei pinlei"
    ),
    "brand": (
        "brand itembrand productbrand brandname vendor manufacturer marke hersteller marca fabricante marque fabricant "
        "pinpai"
    ),
    "is_available": (
        "isavailable available availability instock stockstatus stock stockquantity inventory inventoryquantity "
        "isactive issaleable verfuegbar verfugbar lagerbestand bestand lieferbar disponible disponibilidad existencias "
        "disponibilite enstock disponivel disponibilidade estoque kucun"
    ),
    "age": "age customerage userage alter edad idade nianling",
    "gender": "gender sex geschlecht genero sexo sexe xingbie",
    "country": "country countrycode usercountry customercountry geocountry billingcountry land pais pays guojia",
    "interests": "interests interest hobbies interessen intereses interets interesses xingqu",
}
_LIKELY = {
    "event_time": "date at processedat paidat completedat sentat receivedat tstamp data hora when",
    "user_id": "email customeremail useremail billingemail mail correo courriel u uuid username phone handynummer "
    "youxiang",
    "item_id": "articlecode gtin ean barcode variantid reference ref i product1 codigo adid",
    "event_type": "type verb kind bought ispurchase purchased typ tipo",
    "quantity": "count number amountofitems num pcs",
    "price": "amount value total revenue linetotal orderlinetotal itemtotal linetotalprice lineamount pricecents "
    "amountcents betrag summe zeilensumme gesamtpreis importe valor valortotal montant total prixtotal precototal",
    "session_id": "invoicenumber receipt receiptid bon bonnr belegnr ticket ticketid factura facture nota notafiscal",
    "title": "name nombre nom nome designation produkttitel titulocorto",
    "description": "text details body summary features descriptiontext",
    "category": "department type categoryid catid cat gruppe section genres",
    "brand": "store maker brandid",
    "is_available": "status published active state aktiv activo actif ativo",
    "age": "agegroup ageband ageyears altersgruppe",
    "gender": "anrede",
    "country": "region shippingcountry locationcountry market",
    "interests": "tags preferences segments",
}
_NO_TIMES = frozenset(
    [
        "birthday",
        "birthdate",
        "dateofbirth",
        "dob",
        "born",
        "geburtsdatum",
        "geburtstag",
        "fechanacimiento",
        "fechadenacimiento",
        "datenaissance",
        "datedenaissance",
        "datanascimento",
        "datadenascimento",
        "shengri",
        "chushengriqi",
        "updatedat",
        "modifiedat",
        "loadedat",
        "shippinglimitdate",
        "deliverydate",
        "lieferdatum",
        "expirydate",
    ]
)
"""Times that are not those of an event."""
_TYPES = re.compile(r":(token|float|token_seq|float_seq)$")
_KEY = re.compile(r"\[key=([^\]]*)\]\.value$")
_LIKE, _ENDS, _BEGINS = 0.7, 0.6, 0.4
"""What a likely word says of a column, and a plain one that its name ends or begins with."""
HINTS: dict[str, dict[str, float]] = {
    role: {**dict.fromkeys(_LIKELY[role].split(), _LIKE), **dict.fromkeys(words.split(), 1.0)}
    for role, words in _PLAIN.items()
}
"""Column of the contract -> name -> what it says, up to 1."""

EVENT_WORDS: dict[str, str] = {
    word: event
    for event, words in {
        "view": "view viewitem viewed productview productviewed itemview detailpageview productdetail viewproduct "
        "viewcontent pv detail pageview ansicht angesehen produktansicht vista ver visualizacion visto vue "
        "consultation voir visualizacao liulan chakan seen look",
        "click": "click clicks clicked selectitem productclicked productclick klick clic clique dianji opened select",
        "cart": "cart addtocart basket addtobasket productadded addcart atc incart warenkorb inwarenkorb hinzugefuegt "
        "carrito agregaralcarrito anadiralcarrito panier ajoutpanier ajoutaupanier carrinho adicionaraocarrinho jiagou "
        "gouwuche addtocartevent",
        "purchase": "purchase purchased buy bought buys order ordered orders orderplaced ordercompleted transaction "
        "sale sold purchasecomplete checkoutcomplete paid payment kauf gekauft bestellung bestellt compra comprado "
        "pedido achat achete commande comprou goumai xiadan zhifu conversion",
    }.items()
    for word in words.split()
}
"""Word of an export, squashed -> the event type that it means."""


def squashed(text: str) -> str:
    """A name without case, accents, blanks and signs."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(letter for letter in plain.casefold() if letter.isalnum())


def name_score(path: str, role: str) -> float:
    """How much the name of a column says for a role, from 0 to 1."""
    key = _KEY.search(path)
    names = [name.replace("[]", "") for name in (key[1] if key else _TYPES.sub("", path)).split(".")]
    last = squashed(names[-1])
    # An `id` is that of what it lies in: customer.id, items[].id.
    joined = squashed(names[-2].removesuffix("s")) + last if len(names) > 1 else last
    hints = HINTS[role]
    if role == "event_time" and last in _NO_TIMES:
        return 0.0
    # Two are better than one: user_id of a path user.id, but not the name of a whole path such as user.geo.id.
    exact = max(hints.get(last, 0.0), hints.get(joined, 0.0))
    if exact:
        return exact
    long = [word for word, weight in hints.items() if weight == 1.0 and len(word) >= 4]
    if any(last.endswith(word) for word in long):
        return _ENDS
    return _BEGINS if any(last.startswith(word) for word in long) else 0.0


def is_other_time(path: str) -> bool:
    """Whether a column's name says that its times are not those of events, such as birthdays."""
    return squashed(path.rpartition(".")[2]) in _NO_TIMES
