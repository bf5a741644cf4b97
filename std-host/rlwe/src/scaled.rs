//! Vectors times integers, added up: what a batch spends its time with.

/// Vectors that are added up at once.
pub const GROUP: usize = 16;
/// Vectors whose products are summed up in registers.
const SOME: usize = 8;
/// Sums in registers.
const RUN: usize = 8;

/// `sums += weight vector` over a group of vectors, with the first weights. Sums must fit.
pub fn add_scaled(weights: &[i32], vectors: &[Vec<i32>], sums: &mut [i64]) {
    for (weights, vectors) in weights.chunks(SOME).zip(vectors.chunks(SOME)) {
        let (mut factors, mut slices) = ([0; SOME], [&[][..]; SOME]);
        for ((factor, slice), (&weight, vector)) in
            factors.iter_mut().zip(&mut slices).zip(weights.iter().zip(vectors))
        {
            *factor = weight;
            *slice = vector;
        }
        // A place without a vector repeats the first one, with the weight 0.
        let first = slices[0];
        let slices = slices.map(|slice| if slice.is_empty() { first } else { slice });
        add_some(factors, slices, sums);
    }
}

#[multiversion::multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
fn add_some(weights: [i32; SOME], vectors: [&[i32]; SOME], sums: &mut [i64]) {
    let vectors = vectors.map(|vector| vector.as_chunks::<RUN>().0);
    for (place, sums) in sums.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        for (&weight, vector) in weights.iter().zip(&vectors) {
            let Some(words) = vector.get(place) else { break };
            for (sum, &word) in sums.iter_mut().zip(words) {
                *sum += i64::from(weight) * i64::from(word);
            }
        }
    }
}
