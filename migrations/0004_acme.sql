CREATE TABLE `acme_accounts` (
	`directory` text PRIMARY KEY NOT NULL,
	`private_key` blob NOT NULL,
	`url` text,
	`contact` blob,
	`registered_at` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `acme_orders` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`domain` text NOT NULL,
	`directory` text NOT NULL,
	`purpose` text NOT NULL,
	`state` text NOT NULL,
	`private_key` blob,
	`url` text,
	`opened_at` integer,
	`asked` integer NOT NULL,
	`replaces` text,
	`challenge` text,
	`token` text,
	`key_authorization` text,
	`stumbles` integer NOT NULL,
	`go_on_at` integer NOT NULL,
	`problem` text,
	`detail` text,
	`certificate_id` text,
	`created_at` integer NOT NULL,
	`ended_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `acme_orders_one_open` ON `acme_orders` (`name`,`purpose`) WHERE "acme_orders"."state" = 'open';--> statement-breakpoint
CREATE INDEX `acme_orders_name` ON `acme_orders` (`name`,`created_at`);--> statement-breakpoint
CREATE INDEX `acme_orders_domain` ON `acme_orders` (`domain`,`ended_at`);--> statement-breakpoint
CREATE INDEX `acme_orders_created` ON `acme_orders` (`created_at`);--> statement-breakpoint
ALTER TABLE `certificates` ADD `directory` text;--> statement-breakpoint
ALTER TABLE `certificates` ADD `renewal_id` text;--> statement-breakpoint
ALTER TABLE `certificates` ADD `renew_at` integer;--> statement-breakpoint
ALTER TABLE `certificates` ADD `renewal_window` text;--> statement-breakpoint
ALTER TABLE `certificates` ADD `ask_window_at` integer;