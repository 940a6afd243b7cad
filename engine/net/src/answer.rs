//! An answer's body as hyper takes it: whole, or as a conversation brings it.
//!
//! Knows hyper's bodies and the connection's account.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::rc::Rc;

use hyper::body::{Body, Buf, Bytes, Frame, SizeHint};

use crate::account::{Account, UnderWay};
use crate::conversation::Conversation;

/// Bytes of an answer, on the account of their connection until hyper has passed on the last of them.
pub(crate) struct Piece {
    bytes: Bytes,
    charged: usize,
    account: Rc<Account>,
    /// Of an answer in one piece, which is done when this is.
    _under_way: Option<UnderWay>,
}

impl Piece {
    fn new(bytes: Bytes, account: Rc<Account>, under_way: Option<UnderWay>) -> Self {
        let charged = bytes.len();
        account.charge(charged);
        Self { bytes, charged, account, _under_way: under_way }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.account.discharge(self.charged);
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// In one piece, until it is taken.
    Whole(Option<Piece>),
    /// In as many as it takes.
    Conversation(Box<Conversation>),
}

impl AnswerBody {
    pub(crate) fn whole(bytes: Bytes, under_way: UnderWay) -> Self {
        Self::Whole(Some(Piece::new(bytes, under_way.account().clone(), Some(under_way))))
    }
}

impl Body for AnswerBody {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        let piece = match &mut *self {
            Self::Whole(piece) => piece.take().filter(|piece| !piece.bytes.is_empty()),
            Self::Conversation(conversation) => {
                let bytes = ready!(conversation.poll_next(cx));
                bytes.map(|bytes| Piece::new(bytes, conversation.account().clone(), None))
            }
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(piece) => piece.as_ref().is_none_or(|piece| piece.bytes.is_empty()),
            Self::Conversation(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Self::Whole(piece) = self else { return SizeHint::default() };
        let bytes = piece.as_ref().map_or(0, |piece| piece.bytes.len());
        SizeHint::with_exact(u64::try_from(bytes).expect("a usize fits 64 bits"))
    }
}
