-- A ledger of schema 0002, written by the release that made it (see test_old_ledgers.py).
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE bad_answer (
	id INTEGER NOT NULL, 
	provider VARCHAR(16) NOT NULL, 
	environment VARCHAR(32) NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	what VARCHAR(300) NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	received_at VARCHAR(27) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_bad_answer UNIQUE (provider, environment, account, sha256)
);
INSERT INTO "bad_answer" VALUES(1,'glopal','live','acme','order 100-7','missing_field','no total','2026-01-10T10:30:34.250000Z','61e70104bfccef33e26bd3a1d61cfbeee2293f994e29a39cbb077a505eb72089',14,X'7B226964223A223130302D37227D');
CREATE TABLE effect (
	id INTEGER NOT NULL, 
	order_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	phase VARCHAR(8) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	outcome VARCHAR(16), 
	detail TEXT NOT NULL, 
	amount VARCHAR, 
	at VARCHAR(27) NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	fence INTEGER NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(order_id) REFERENCES source_order (id), 
	CONSTRAINT uq_effect_seq UNIQUE (order_id, seq)
);
INSERT INTO "effect" VALUES(1,6,1,'note','park',NULL,'the order id has characters that no order id has; it is never put into a web address',NULL,'2026-01-10T10:30:03.250000Z','worker-of-old',0,'','96bf3432040198d9af9216dc1fc47cb7f0871f4407ae1b55ba82ce8e6094ef2f');
INSERT INTO "effect" VALUES(2,1,1,'intent','insert',NULL,'glopal.live.acme.100-1',NULL,'2026-01-10T10:30:07.250000Z','worker-of-old',1,'','dbfc3f0d4da775252d58d948fd2a5787459f8d84ede03023c1420b4cf850a300');
INSERT INTO "effect" VALUES(3,1,2,'outcome','insert','done','created: 1001',NULL,'2026-01-10T10:30:08.250000Z','worker-of-old',1,'dbfc3f0d4da775252d58d948fd2a5787459f8d84ede03023c1420b4cf850a300','31855bbd0d123fe5239e8d85198e532c2fbc67c165e69b1112dcb2b3a345e94e');
INSERT INTO "effect" VALUES(4,1,3,'intent','accept',NULL,'{"store_order_id": "id-1001", "store_order_number": "1001"}',NULL,'2026-01-10T10:30:09.250000Z','worker-of-old',1,'31855bbd0d123fe5239e8d85198e532c2fbc67c165e69b1112dcb2b3a345e94e','dcd88d41889981008e78ca18b512c474123c14eb21f1e1aa2b6c60af4bfd03a7');
INSERT INTO "effect" VALUES(5,1,4,'outcome','accept','done','accepted as store order 1001',NULL,'2026-01-10T10:30:10.250000Z','worker-of-old',1,'dcd88d41889981008e78ca18b512c474123c14eb21f1e1aa2b6c60af4bfd03a7','21b83235144f7ae86f85cdbf807bcbed2ff0355244b28b19f8ebc826ea46ffee');
INSERT INTO "effect" VALUES(6,2,1,'intent','insert',NULL,'glopal.live.acme.100-2',NULL,'2026-01-10T10:30:13.250000Z','worker-of-old',1,'','c09510c1a35c16711485f0f244fdd4d8d72c83663a93307e3d528aa7eec947c6');
INSERT INTO "effect" VALUES(7,2,2,'outcome','insert','refused','the store does not know SKU HAT-9',NULL,'2026-01-10T10:30:14.250000Z','worker-of-old',1,'c09510c1a35c16711485f0f244fdd4d8d72c83663a93307e3d528aa7eec947c6','b490c54195823238855ee02a8f4e4def648f1c726a6c23e4a468a4dd566ef9f1');
INSERT INTO "effect" VALUES(8,2,3,'note','park',NULL,'the store does not know SKU HAT-9',NULL,'2026-01-10T10:30:14.250000Z','worker-of-old',1,'b490c54195823238855ee02a8f4e4def648f1c726a6c23e4a468a4dd566ef9f1','81d9adbfe12fd9f8843e14e287fb213d35d8194ea504355a739504d473d2281f');
INSERT INTO "effect" VALUES(9,3,1,'intent','insert',NULL,'glopal.live.acme.100-3',NULL,'2026-01-10T10:30:17.250000Z','worker-of-old',1,'','6dc9e9896aae26662fd94635cee7f5d0b7d92a094f15ee49447dee8f203c8b03');
INSERT INTO "effect" VALUES(10,3,2,'outcome','insert','unknown','no answer within 15 s',NULL,'2026-01-10T10:30:18.250000Z','worker-of-old',1,'6dc9e9896aae26662fd94635cee7f5d0b7d92a094f15ee49447dee8f203c8b03','7a82d361ea75659bd4fa831883be6b863f0d5df73dfd55b5c8b1482ab7d38e1a');
INSERT INTO "effect" VALUES(11,5,1,'note','close','done','cancelled by the provider before anything was done',NULL,'2026-01-10T10:30:20.250000Z','worker-of-old',1,'','2b0c265f5fc2e9196097106eb129601b5da385608d479464aaace2ca29cc6c7b');
INSERT INTO "effect" VALUES(12,9,1,'note','fetch','refused','the document has no total',NULL,'2026-01-10T10:30:24.250000Z','worker-of-old',1,'','7a7b6179f59084f0515ca506867f02b41bbc4fdd67df95c8078c1b1c4ab52f7d');
INSERT INTO "effect" VALUES(13,9,2,'note','park',NULL,'the document has no total',NULL,'2026-01-10T10:30:24.250000Z','worker-of-old',1,'7a7b6179f59084f0515ca506867f02b41bbc4fdd67df95c8078c1b1c4ab52f7d','8a5e6987319247064955064d15754d41dc18180ddcd428b6cc77bac00b66eb82');
INSERT INTO "effect" VALUES(14,10,1,'intent','insert',NULL,'glopal.live.acme.100-8',NULL,'2026-01-10T10:30:27.250000Z','worker-of-old',1,'','c1b764cda6b9214a45d602d2044b1da45d704c1b98107e008d6efa55ed09ea56');
INSERT INTO "effect" VALUES(15,10,2,'outcome','insert','done','created: 1002',NULL,'2026-01-10T10:30:28.250000Z','worker-of-old',1,'c1b764cda6b9214a45d602d2044b1da45d704c1b98107e008d6efa55ed09ea56','a2e8d0462798d0aeeddc55553fd4a8843d9d5d9a849eb7fba092d5cb2f5d0864');
INSERT INTO "effect" VALUES(16,10,3,'intent','accept',NULL,'{"store_order_id": "id-1002", "store_order_number": "1002"}',NULL,'2026-01-10T10:30:29.250000Z','worker-of-old',1,'a2e8d0462798d0aeeddc55553fd4a8843d9d5d9a849eb7fba092d5cb2f5d0864','6210a595c52eb85076ca3795921b2f5dbfcdbf35886650aca4f6c1a8ed89019b');
INSERT INTO "effect" VALUES(17,10,4,'outcome','accept','done','accepted as store order 1002',NULL,'2026-01-10T10:30:30.250000Z','worker-of-old',1,'6210a595c52eb85076ca3795921b2f5dbfcdbf35886650aca4f6c1a8ed89019b','ebcdd22e2eb27143bb1556b554571c56578a6c5f3a56c1eb7146ce520a629bd9');
INSERT INTO "effect" VALUES(18,11,1,'intent','insert',NULL,'glopal.live.acme.100-9',NULL,'2026-01-10T10:30:33.250000Z','worker-of-old',1,'','4414c9072815fc06c4d29fc1d57738d8085c1a1b83bd9e43f8a61e5b46a657f1');
INSERT INTO "effect" VALUES(19,7,1,'intent','insert',NULL,'glopal.live.acme.100-10',NULL,'2026-01-10T10:30:38.250000Z','worker-of-old',1,'','ec0ca52628f87c6facf753ac857cce68fa4666a9f7848430c00a9e10eda45864');
INSERT INTO "effect" VALUES(20,7,2,'outcome','insert','refused','the store says the total is wrong',NULL,'2026-01-10T10:30:39.250000Z','worker-of-old',1,'ec0ca52628f87c6facf753ac857cce68fa4666a9f7848430c00a9e10eda45864','cd4a72b739250315dadeb9f338536c59fd527f45c516c60c7655fae8dc814f9b');
INSERT INTO "effect" VALUES(21,7,3,'note','park',NULL,'the store says the total is wrong',NULL,'2026-01-10T10:30:39.250000Z','worker-of-old',1,'cd4a72b739250315dadeb9f338536c59fd527f45c516c60c7655fae8dc814f9b','0e9f5e3f1c44a63e2c3f482c7103f3bd9b48af7f736d13be202c7a0e8d4c71ab');
INSERT INTO "effect" VALUES(22,7,4,'note','decide_settle',NULL,'a person decided: settle. done by hand in both places',NULL,'2026-01-10T10:30:41.250000Z','worker-of-old',1,'0e9f5e3f1c44a63e2c3f482c7103f3bd9b48af7f736d13be202c7a0e8d4c71ab','3d8e23faa37fa3adb2734c3027c4a3deb7e2602ad2eee498adce1794393c2967');
CREATE TABLE feed_cursor (
	provider VARCHAR(16) NOT NULL, 
	environment VARCHAR(32) NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	cursor VARCHAR(255) NOT NULL, 
	moved_at VARCHAR(27) NOT NULL, 
	fence INTEGER NOT NULL, full_page INTEGER DEFAULT '0' NOT NULL, end_seen_at VARCHAR(27), 
	PRIMARY KEY (provider, environment, account)
);
INSERT INTO "feed_cursor" VALUES('glopal','live','acme','OLD0000000000017','2026-01-10T10:30:03.250000Z',1,0,'2026-01-10T10:30:35.250000Z');
CREATE TABLE feed_lease (
	name VARCHAR(200) NOT NULL, 
	owner VARCHAR(64), 
	until VARCHAR(27), 
	fence INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "feed_lease" VALUES('feed:glopal/live/acme',NULL,NULL,1);
CREATE TABLE notice (
	id INTEGER NOT NULL, 
	order_id INTEGER NOT NULL, 
	event VARCHAR(64) NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	told_at VARCHAR(27), 
	PRIMARY KEY (id), 
	FOREIGN KEY(order_id) REFERENCES source_order (id)
);
INSERT INTO "notice" VALUES(1,6,'crossdock.order.parked','bad_id','the order id has characters that no order id has; it is never put into a web address','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:40.250000Z');
INSERT INTO "notice" VALUES(2,2,'crossdock.order.parked','insert.unknown_sku','the store does not know SKU HAT-9','2026-01-10T10:30:14.250000Z',NULL);
INSERT INTO "notice" VALUES(3,9,'crossdock.order.parked','document.missing_field','the document has no total','2026-01-10T10:30:24.250000Z',NULL);
INSERT INTO "notice" VALUES(4,7,'crossdock.order.parked','insert.invalid_order','the store says the total is wrong','2026-01-10T10:30:39.250000Z',NULL);
CREATE TABLE open_intent (
	order_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	PRIMARY KEY (order_id), 
	FOREIGN KEY(order_id) REFERENCES source_order (id)
);
INSERT INTO "open_intent" VALUES(11,1,'insert','2026-01-10T10:30:33.250000Z','worker-of-old');
CREATE TABLE order_document (
	id INTEGER NOT NULL, 
	order_id INTEGER NOT NULL, 
	received_at VARCHAR(27) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	raw BLOB NOT NULL, 
	canonical TEXT, 
	content_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(order_id) REFERENCES source_order (id), 
	CONSTRAINT uq_order_document UNIQUE (order_id, sha256)
);
INSERT INTO "order_document" VALUES(1,1,'2026-01-10T10:30:06.250000Z','a8350050d4e4b475b1bf96bbe7399d0344ef82412be4bbae1392f9131ed15ca3',X'7B226964223A223130302D31222C22737461747573223A225245414459227D','{"id":"100-1","status":"READY"}','df9124a00a85adba9a82b25a9b89f722c4b9f540030d835251c6d286d4076735');
INSERT INTO "order_document" VALUES(2,2,'2026-01-10T10:30:12.250000Z','7b818121eb66c04eb2367f755a9cd93d1fa483534cb9e5fbac628e39cb40d46f',X'7B226964223A223130302D32222C22737461747573223A225245414459227D','{"id":"100-2","status":"READY"}','fbbcf6109e2020fb7d6c50cdb3ef4fa3c9cee232d26e2d90b31b2834936d42aa');
INSERT INTO "order_document" VALUES(3,3,'2026-01-10T10:30:16.250000Z','66ab798f9fd2ef8c78c3858e55d5251d940c4e189ad6bea2f42740a6f7904ad0',X'7B226964223A223130302D33222C22737461747573223A225245414459227D','{"id":"100-3","status":"READY"}','c6689b0a59de1cc0d35b2f8000c12bd573faa6ee8d459cfb2e7069798123b1cf');
INSERT INTO "order_document" VALUES(4,8,'2026-01-10T10:30:22.250000Z','cc031f5b22d40e7b068125b88417fb0d07eda8b06d59260aa986b737c8e2e448',X'7B226964223A223130302D36222C22737461747573223A225245414459227D','{"id":"100-6","status":"READY"}','87e8c8d1be6afdfe26843aaa4d97c563447fb77c28440ac1217c6e811c2e9e26');
INSERT INTO "order_document" VALUES(5,10,'2026-01-10T10:30:26.250000Z','b0634716d5e45a4210c5989c047e1b355e6938248e3cbf9f888df28211d963f8',X'7B226964223A223130302D38222C22737461747573223A225245414459227D','{"id":"100-8","status":"READY"}','70bc6244cc8e92bd4e3ff1e1e10c2b9facbeba339c6df831751f6e6aaa002c56');
INSERT INTO "order_document" VALUES(6,11,'2026-01-10T10:30:32.250000Z','d8b22d14979a5d6d98582ba260b006d9017948429a57729f51b2653cef8e6e85',X'7B226964223A223130302D39222C22737461747573223A225245414459227D','{"id":"100-9","status":"READY"}','ba4c2008bed1f3e551270f623b9d39b29fe52ddee8d12b960e1c43a9f514c223');
INSERT INTO "order_document" VALUES(7,7,'2026-01-10T10:30:37.250000Z','dfca686ef47fe2f981976ae5b7b39ffa2a21609075e6bf5aee8568ca38ba07cd',X'7B226964223A223130302D3130222C22737461747573223A225245414459227D','{"id":"100-10","status":"READY"}','f444888dc561b1e612de47f72d198bca9d67a869dd16a27c4b79c926bf18d26e');
CREATE TABLE side_hold (
	name VARCHAR(200) NOT NULL, 
	until VARCHAR(27) NOT NULL, 
	said TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "side_hold" VALUES('store:shop','2026-01-10T10:31:42.250000Z','asked to be left alone');
CREATE TABLE source_event (
	id INTEGER NOT NULL, 
	provider VARCHAR(16) NOT NULL, 
	environment VARCHAR(32) NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	event_id VARCHAR(255) NOT NULL, 
	event_name VARCHAR(255) NOT NULL, 
	source_order_id VARCHAR(255) NOT NULL, 
	order_id INTEGER, 
	entity_id VARCHAR(255) NOT NULL, 
	event_at VARCHAR(27), 
	recorded_at VARCHAR(27) NOT NULL, 
	bucket VARCHAR(16) NOT NULL, 
	note TEXT NOT NULL, 
	raw TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(order_id) REFERENCES source_order (id), 
	CONSTRAINT uq_source_event UNIQUE (provider, environment, account, event_id)
);
INSERT INTO "source_event" VALUES(1,'glopal','live','acme','OLD0000000000001','order.received','100-1',1,'','2026-01-10T10:02:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000001","event_name":"order.received","event_at":"2026-01-10T10:02:00.250Z","order_id":"100-1"}');
INSERT INTO "source_event" VALUES(2,'glopal','live','acme','OLD0000000000002','order.received','100-2',2,'','2026-01-10T10:04:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000002","event_name":"order.received","event_at":"2026-01-10T10:04:00.250Z","order_id":"100-2"}');
INSERT INTO "source_event" VALUES(3,'glopal','live','acme','OLD0000000000003','order.ready','100-1',1,'','2026-01-10T10:06:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000003","event_name":"order.ready","event_at":"2026-01-10T10:06:00.250Z","order_id":"100-1"}');
INSERT INTO "source_event" VALUES(4,'glopal','live','acme','OLD0000000000004','order.ready','100-2',2,'','2026-01-10T10:08:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000004","event_name":"order.ready","event_at":"2026-01-10T10:08:00.250Z","order_id":"100-2"}');
INSERT INTO "source_event" VALUES(5,'glopal','live','acme','OLD0000000000005','order.received','100-3',3,'','2026-01-10T10:10:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000005","event_name":"order.received","event_at":"2026-01-10T10:10:00.250Z","order_id":"100-3"}');
INSERT INTO "source_event" VALUES(6,'glopal','live','acme','OLD0000000000006','order.ready','100-3',3,'','2026-01-10T10:12:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000006","event_name":"order.ready","event_at":"2026-01-10T10:12:00.250Z","order_id":"100-3"}');
INSERT INTO "source_event" VALUES(7,'glopal','live','acme','OLD0000000000007','order.received','100-4',4,'','2026-01-10T10:14:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000007","event_name":"order.received","event_at":"2026-01-10T10:14:00.250Z","order_id":"100-4"}');
INSERT INTO "source_event" VALUES(8,'glopal','live','acme','OLD0000000000008','order.received','100-5',5,'','2026-01-10T10:16:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000008","event_name":"order.received","event_at":"2026-01-10T10:16:00.250Z","order_id":"100-5"}');
INSERT INTO "source_event" VALUES(9,'glopal','live','acme','OLD0000000000009','order.cancelled','100-5',5,'','2026-01-10T10:18:00.250000Z','2026-01-10T10:30:02.250000Z','applied','','{"event_id":"OLD0000000000009","event_name":"order.cancelled","event_at":"2026-01-10T10:18:00.250Z","order_id":"100-5"}');
INSERT INTO "source_event" VALUES(10,'glopal','live','acme','OLD0000000000010','order.ready','100-6',8,'','2026-01-10T10:20:00.250000Z','2026-01-10T10:30:03.250000Z','applied','','{"event_id":"OLD0000000000010","event_name":"order.ready","event_at":"2026-01-10T10:20:00.250Z","order_id":"100-6"}');
INSERT INTO "source_event" VALUES(11,'glopal','live','acme','OLD0000000000011','order.ready','100-7',9,'','2026-01-10T10:22:00.250000Z','2026-01-10T10:30:03.250000Z','applied','','{"event_id":"OLD0000000000011","event_name":"order.ready","event_at":"2026-01-10T10:22:00.250Z","order_id":"100-7"}');
INSERT INTO "source_event" VALUES(12,'glopal','live','acme','OLD0000000000012','order.ready','100-8',10,'','2026-01-10T10:24:00.250000Z','2026-01-10T10:30:03.250000Z','applied','','{"event_id":"OLD0000000000012","event_name":"order.ready","event_at":"2026-01-10T10:24:00.250Z","order_id":"100-8"}');
INSERT INTO "source_event" VALUES(13,'glopal','live','acme','OLD0000000000013','order.ready','100-9',11,'','2026-01-10T10:26:00.250000Z','2026-01-10T10:30:03.250000Z','applied','','{"event_id":"OLD0000000000013","event_name":"order.ready","event_at":"2026-01-10T10:26:00.250Z","order_id":"100-9"}');
INSERT INTO "source_event" VALUES(14,'glopal','live','acme','OLD0000000000014','order.ready','../admin',6,'','2026-01-10T10:28:00.250000Z','2026-01-10T10:30:03.250000Z','applied','','{"event_id":"OLD0000000000014","event_name":"order.ready","event_at":"2026-01-10T10:28:00.250Z","order_id":"../admin"}');
INSERT INTO "source_event" VALUES(15,'glopal','live','acme','OLD0000000000015','','',NULL,'',NULL,'2026-01-10T10:30:03.250000Z','unreadable','without order_id','{"event_id":"OLD0000000000015","event_name":"order.ready"}');
INSERT INTO "source_event" VALUES(16,'glopal','live','acme','OLD0000000000016','order.ready','100-10',7,'','2026-01-10T10:32:00.250000Z','2026-01-10T10:30:03.250000Z','applied','','{"event_id":"OLD0000000000016","event_name":"order.ready","event_at":"2026-01-10T10:32:00.250Z","order_id":"100-10"}');
INSERT INTO "source_event" VALUES(17,'glopal','live','acme','OLD0000000000017','order.something_new','100-1',1,'','2026-01-10T10:34:00.250000Z','2026-01-10T10:30:03.250000Z','kept','','{"event_id":"OLD0000000000017","event_name":"order.something_new","event_at":"2026-01-10T10:34:00.250Z","order_id":"100-1"}');
CREATE TABLE source_order (
	id INTEGER NOT NULL, 
	provider VARCHAR(16) NOT NULL, 
	environment VARCHAR(32) NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	source_order_id VARCHAR(255) NOT NULL, 
	reference VARCHAR(400) NOT NULL, 
	source_status VARCHAR(16) NOT NULL, 
	document_status VARCHAR(16), 
	landing VARCHAR(32) NOT NULL, 
	store_state VARCHAR(16), 
	due_at VARCHAR(27), 
	attempts INTEGER NOT NULL, 
	deadline_at VARCHAR(27), 
	deadline_applied_at VARCHAR(27), 
	warned_at VARCHAR(27), 
	parked_at VARCHAR(27), 
	parked_code VARCHAR(64), 
	parked_reason TEXT, 
	cancel_wanted TEXT, 
	unknown_since VARCHAR(27), 
	probes_missed INTEGER NOT NULL, 
	currency VARCHAR(3), 
	total VARCHAR, 
	base_currency VARCHAR(3), 
	base_total VARCHAR, 
	document_id INTEGER, 
	store_order_id VARCHAR(255), 
	store_order_number VARCHAR(255), 
	lease_owner VARCHAR(64), 
	lease_until VARCHAR(27), 
	fence INTEGER NOT NULL, 
	effect_seq INTEGER NOT NULL, 
	effect_hash VARCHAR(64) NOT NULL, 
	first_seen_at VARCHAR(27) NOT NULL, 
	ready_at VARCHAR(27), 
	inserted_at VARCHAR(27), 
	accepted_at VARCHAR(27), 
	settled_at VARCHAR(27), 
	reconciled_at VARCHAR(27), 
	updated_at VARCHAR(27) NOT NULL, cancel_by VARCHAR(8), closed_at VARCHAR(27), closed_why TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_source_order UNIQUE (provider, environment, account, source_order_id)
);
INSERT INTO "source_order" VALUES(1,'glopal','live','acme','100-1','glopal.live.acme.100-1','ACCEPTED','READY','accepted','open',NULL,0,'2026-01-13T10:30:02.250000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'EUR','12.5','EUR','12.5',1,'id-1001','1001',NULL,NULL,1,4,'21b83235144f7ae86f85cdbf807bcbed2ff0355244b28b19f8ebc826ea46ffee','2026-01-10T10:30:02.250000Z','2026-01-10T10:30:02.250000Z','2026-01-10T10:30:08.250000Z','2026-01-10T10:30:10.250000Z','2026-01-10T10:30:10.250000Z',NULL,'2026-01-10T10:30:10.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(2,'glopal','live','acme','100-2','glopal.live.acme.100-2','READY','READY','fetched',NULL,NULL,0,'2026-01-13T10:30:02.250000Z',NULL,NULL,'2026-01-10T10:30:14.250000Z','insert.unknown_sku','the store does not know SKU HAT-9',NULL,NULL,0,'EUR','12.5','EUR','12.5',2,NULL,NULL,NULL,NULL,1,3,'81d9adbfe12fd9f8843e14e287fb213d35d8194ea504355a739504d473d2281f','2026-01-10T10:30:02.250000Z','2026-01-10T10:30:02.250000Z',NULL,NULL,NULL,NULL,'2026-01-10T10:30:14.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(3,'glopal','live','acme','100-3','glopal.live.acme.100-3','READY','READY','insert_unknown',NULL,'2026-01-10T10:40:18.250000Z',1,'2026-01-13T10:30:02.250000Z',NULL,NULL,NULL,NULL,NULL,NULL,'2026-01-10T10:30:18.250000Z',0,'EUR','12.5','EUR','12.5',3,NULL,NULL,NULL,NULL,1,2,'7a82d361ea75659bd4fa831883be6b863f0d5df73dfd55b5c8b1482ab7d38e1a','2026-01-10T10:30:02.250000Z','2026-01-10T10:30:02.250000Z',NULL,NULL,NULL,NULL,'2026-01-10T10:30:18.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(4,'glopal','live','acme','100-4','glopal.live.acme.100-4','RECEIVED',NULL,'seen',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,'','2026-01-10T10:30:02.250000Z',NULL,NULL,NULL,NULL,NULL,'2026-01-10T10:30:02.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(5,'glopal','live','acme','100-5','glopal.live.acme.100-5','CANCELLED',NULL,'cancelled',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,1,'2b0c265f5fc2e9196097106eb129601b5da385608d479464aaace2ca29cc6c7b','2026-01-10T10:30:02.250000Z',NULL,NULL,NULL,'2026-01-10T10:30:20.250000Z',NULL,'2026-01-10T10:30:20.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(6,'glopal','live','acme','../admin','glopal.live.acme.../admin','UNSEEN',NULL,'seen',NULL,NULL,0,NULL,NULL,NULL,'2026-01-10T10:30:03.250000Z','bad_id','the order id has characters that no order id has; it is never put into a web address',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,'96bf3432040198d9af9216dc1fc47cb7f0871f4407ae1b55ba82ce8e6094ef2f','2026-01-10T10:30:03.250000Z',NULL,NULL,NULL,NULL,NULL,'2026-01-10T10:30:03.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(7,'glopal','live','acme','100-10','glopal.live.acme.100-10','READY','READY','fetched',NULL,NULL,0,'2026-01-13T10:30:03.250000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'EUR','12.5','EUR','12.5',7,NULL,NULL,NULL,NULL,1,4,'3d8e23faa37fa3adb2734c3027c4a3deb7e2602ad2eee498adce1794393c2967','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:03.250000Z',NULL,NULL,'2026-01-10T10:30:41.250000Z',NULL,'2026-01-10T10:30:41.250000Z',NULL,'2026-01-10T10:30:41.250000Z','done by hand in both places');
INSERT INTO "source_order" VALUES(8,'glopal','live','acme','100-6','glopal.live.acme.100-6','READY','READY','fetched',NULL,'2026-01-10T10:30:22.250000Z',0,'2026-01-13T10:30:03.250000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'EUR','12.50','EUR','12.50',4,NULL,NULL,NULL,NULL,1,0,'','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:03.250000Z',NULL,NULL,NULL,NULL,'2026-01-10T10:30:22.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(9,'glopal','live','acme','100-7','glopal.live.acme.100-7','READY',NULL,'seen',NULL,NULL,0,'2026-01-13T10:30:03.250000Z',NULL,NULL,'2026-01-10T10:30:24.250000Z','document.missing_field','the document has no total',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,2,'8a5e6987319247064955064d15754d41dc18180ddcd428b6cc77bac00b66eb82','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:03.250000Z',NULL,NULL,NULL,NULL,'2026-01-10T10:30:24.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(10,'glopal','live','acme','100-8','glopal.live.acme.100-8','ACCEPTED','READY','accepted','open',NULL,0,'2026-01-13T10:30:03.250000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'EUR','12.5','EUR','12.5',5,'id-1002','1002',NULL,NULL,1,4,'ebcdd22e2eb27143bb1556b554571c56578a6c5f3a56c1eb7146ce520a629bd9','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:28.250000Z','2026-01-10T10:30:30.250000Z','2026-01-10T10:30:30.250000Z',NULL,'2026-01-10T10:30:30.250000Z',NULL,NULL,NULL);
INSERT INTO "source_order" VALUES(11,'glopal','live','acme','100-9','glopal.live.acme.100-9','READY','READY','fetched',NULL,'2026-01-10T10:30:32.250000Z',0,'2026-01-13T10:30:03.250000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'EUR','12.5','EUR','12.5',6,NULL,NULL,NULL,NULL,1,1,'4414c9072815fc06c4d29fc1d57738d8085c1a1b83bd9e43f8a61e5b46a657f1','2026-01-10T10:30:03.250000Z','2026-01-10T10:30:03.250000Z',NULL,NULL,NULL,NULL,'2026-01-10T10:30:32.250000Z',NULL,NULL,NULL);
CREATE INDEX ix_source_order_deadline_at ON source_order (deadline_at);
CREATE INDEX ix_source_order_due ON source_order (provider, environment, account, due_at);
CREATE INDEX ix_source_order_landing ON source_order (landing);
CREATE INDEX ix_source_order_lease_owner ON source_order (lease_owner);
CREATE INDEX ix_source_order_open ON source_order (settled_at, parked_at);
CREATE INDEX ix_source_order_reference ON source_order (reference);
CREATE INDEX ix_effect_at ON effect (at);
CREATE INDEX ix_order_document_order_id ON order_document (order_id);
CREATE INDEX ix_source_event_order ON source_event (order_id);
CREATE INDEX ix_notice_untold ON notice (told_at, id);
COMMIT;
