/* SPDX-License-Identifier: ISC */
#include "http/http_bytes.h"

/* The combinations that occur. */
enum {
	A = IN_TOKEN | IN_TARGET | IN_VALUE | IN_HOST,
	T = IN_TOKEN | IN_TARGET | IN_VALUE,
	H = IN_TARGET | IN_VALUE | IN_HOST,
	P = IN_TARGET | IN_VALUE,
	V = IN_VALUE,
	K = IN_TOKEN | IN_VALUE,
};

/* clang-format off */
const unsigned char http_bytes[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/*  ! " # $ % & ' ( ) * + , - . / */
	V, A, P, K, A, A, A, A, H, H, A, A, P, A, A, P,
	/* 0 to 9 : ; < = > ? */
	A, A, A, A, A, A, A, A, A, A, P, H, P, H, P, P,
	/* @ A to Z [ \ ] ^ _ */
	P, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, P, P, P, T, A,
	/* ` a to z { | } ~ DEL */
	T, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, P, T, P, A, 0,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
	V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
};
/* clang-format on */
